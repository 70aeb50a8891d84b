/**
 * The defects of the broker on Redis that the property of claims and leases (P15) sees, each found within 500 sequences.
 * `node test/mutants/redis.mjs` runs the others, too.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { hunting } from "./hunt.ts";
import { REDIS_MUTANTS } from "./redis-mutants.ts";

const hunt = hunting("test/mutants/lease.ts");
/** What the property says of a step and what came of it, and the log of the run up to there: no error of a script or of a link does. */
const VERDICT = /^P15 claim lease: seed (?:(?!ReplyError)[^])*\nafter\n/;
let server: PrivateServer;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.[Symbol.asyncDispose]());

test("without a defect nothing is found", { timeout: 60_000 }, async () => {
  expect(await hunt([], { runs: 10, seed: 3, url: server.url })).toEqual({ failure: undefined, runs: 10 });
});

test("a script that does not run is no defect that was found", { timeout: 60_000 }, async () => {
  const edit = {
    file: "adapters/redis/lease/scripts.ts",
    find: "if reached > first then",
    put: "if reached > > then",
  };
  const { failure } = await hunt([edit], { runs: 10, seed: 3, url: server.url });
  expect(failure).toBeDefined();
  expect(failure).not.toMatch(VERDICT);
});

for (const { name, file, from, to } of REDIS_MUTANTS.filter(({ byLeases }) => byLeases)) {
  test(`found: ${name}`, { timeout: 180_000 }, async () => {
    const edit = { file: `adapters/redis/${file}`, find: from, put: to };
    const { failure, runs } = await hunt([edit], { runs: 500, seed: 3, url: server.url });
    expect(failure, `not found in ${runs} sequences`).toMatch(VERDICT);
    console.log(`${name}: ${failure?.split("\n").slice(0, 2).join(" ").slice(0, 200)}`);
  });
}
