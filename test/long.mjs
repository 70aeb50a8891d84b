/**
 * `npm run test:long`: what takes longer than `npm test` may. Parts by name, all where none is named:
 *
 *     npm run test:long -- rabbit-differential --minutes 60 --runs 10000 --seed 1
 *
 * `--list` names them; `--path` replays one run of a seed; `--nice` is how far it steps back for others on the machine (10);
 * `--no-record` writes no file into records/.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { createJiti } from "jiti";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    list: { type: "boolean", default: false },
    minutes: { type: "string", default: "90" },
    runs: { type: "string" },
    seed: { type: "string" },
    path: { type: "string" },
    nice: { type: "string", default: "10" },
    record: { type: "boolean", default: true },
  },
});

/** @param {string | undefined} text */
const number = (text) => text === undefined ? undefined : Number(text);

const { long, parts } = /** @type {typeof import("./long/runner.ts")} */ (
  await createJiti(import.meta.url, { fsCache: false, tryNative: false }).import("./long/runner.ts")
);

if (values.list) {
  for (const { name, what, runs } of await parts()) console.log(`${name} (${runs} runs)\n  ${what}`);
} else {
  const code = await long({
    names: positionals,
    runs: number(values.runs),
    seed: number(values.seed),
    path: values.path,
    minutes: Number(values.minutes),
    nice: Number(values.nice),
    record: values.record,
  });
  // What a part has broken on purpose may still try to connect.
  process.exit(code);
}
