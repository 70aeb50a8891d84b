/**
 * The simulated property: random load, random faults, random order; after heal and quiet nothing is lost, every duplicate has its reason, and
 * all invariants held.
 */
import * as fc from "fast-check";
import { expect, inject, test } from "vitest";
import { plans } from "./plan.ts";
import { play } from "./scene.ts";
import { simulate } from "./simulate.ts";

/** Where a failure is replayed: SIM_SEED=… SIM_PATH=… npx vitest run test/simulation */
const { SIM_PATH, SIM_SEED } =
  (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env ??
    {};

/** Without Node's names, workerd's event loop turns once a millisecond. */
const RUNS = { node: 2000, bun: 100, deno: 100, workerd: 10 }[inject("runtime")];

test(
  "nothing is lost, every duplicate is explained, every invariant holds",
  { timeout: 600_000 },
  async () => {
    const begin = performance.now();
    const { coverage, failure } = await simulate({
      runs: RUNS,
      seed: Number(SIM_SEED ?? 20_261_130),
      ...(SIM_PATH === undefined ? {} : { path: SIM_PATH }),
    });
    console.log(`${coverage}; ${((performance.now() - begin) / 1000).toFixed(1)} s`);
    expect(failure).toBeUndefined();
    // A slice is no proof that everything occurs.
    if (RUNS >= 2000 && SIM_PATH === undefined) expect(coverage.missing).toEqual([]);
  },
);

test("the same plan gives the same history", async () => {
  for (const plan of fc.sample(plans, { seed: 7, numRuns: 3 })) {
    const [one, other] = [await play(plan), await play(plan)];
    expect(other.hash).toBe(one.hash);
    expect([...other.history]).toEqual([...one.history]);
  }
});
