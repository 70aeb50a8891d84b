/**
 * Runs the mutants of the broker on Redis through its contract suite, and those that live through the proofs beside it: minutes each, so not
 * in `npm test`. Names as arguments run only these. Needs TEST_REDIS, TEST_AMQP is not used.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createJiti } from "jiti";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STAGES = [
  ["test/contract/redis.test.ts"],
  ["test/redis/lease.test.ts", "test/redis/lease-rescue.test.ts", "test/redis/proof/lease.test.ts"],
];

const { REDIS_MUTANTS } = /** @type {typeof import("./redis-mutants.ts")} */ (
  await createJiti(import.meta.url, { fsCache: false, tryNative: false }).import("./redis-mutants.ts")
);
const scratch = mkdtempSync(join(tmpdir(), "celeriac-mutants-"));

/** @param {string} name @param {readonly string[]} files @returns {string | undefined} the test that caught it */
function caughtBy(name, files) {
  const report = join(scratch, "report.json");
  rmSync(report, { force: true });
  const { status, stderr } = spawnSync(process.execPath, [
    ...["node_modules/vitest/vitest.mjs", "run", "--config", "test/mutants/redis.config.ts", "--bail", "1"],
    ...["--reporter=json", `--outputFile.json=${report}`, ...files],
  ], {
    cwd: ROOT,
    encoding: "utf8",
    timeout: 600_000,
    env: { ...process.env, RUNTIME: "node", MUTANT: name },
  });
  if (status === 0) return undefined;
  try {
    const { testResults } = JSON.parse(readFileSync(report, "utf8"));
    const failed = testResults.flatMap((/** @type {any} */ file) => file.assertionResults)
      .find((/** @type {any} */ test) => test.status === "failed");
    return failed?.fullName ??
      `the run failed: ${testResults.map((/** @type {any} */ file) => file.message).join(" ").slice(0, 300)}`;
  } catch {
    return `the run failed: ${stderr.slice(-300)}`;
  }
}

let lived = 0;
const asked = process.argv.slice(2);
for (const { name } of REDIS_MUTANTS.filter((one) => asked.length === 0 || asked.includes(one.name))) {
  let found;
  for (const files of STAGES) found ??= caughtBy(name, files);
  if (found === undefined) lived++;
  console.log(`| ${name} | ${found ?? "LIVES"} |`);
}
rmSync(scratch, { recursive: true, force: true });
process.exitCode = lived === 0 ? 0 : 1;
