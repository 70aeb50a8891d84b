/**
 * The simulated property: random load, random faults, random order; after heal and quiet nothing is lost, every duplicate has its reason, and
 * all invariants held.
 */
import * as fc from "fast-check";
import { expect, inject, test } from "vitest";
import { plans } from "./plan.ts";
import { type Outcome, play } from "./scene.ts";
import { asked, simulate } from "./simulate.ts";

/** Where a failure is replayed: SIM_SEED=… SIM_PATH=… npx vitest run test/simulation */
const { process } = globalThis as {
  process?: {
    env?: Record<string, string | undefined>;
    cpuUsage?(): { readonly user: number; readonly system: number };
  };
};
const ASKED = asked(process?.env ?? {}, 20_261_130);

/** Without Node's names, workerd's event loop turns once a millisecond. */
const RUNS = { node: 2000, bun: 100, deno: 100, workerd: 10 }[inject("runtime")];

/** What this process has used of a core, in seconds: others on the machine do not change it. */
function used(): number {
  const { user, system } = process?.cpuUsage?.() ?? { user: 0, system: 0 };
  return (user + system) / 1e6;
}

/** Of one plan with a broker's death, a worker's, a freeze and a cut in it. */
const GOLDEN = { seed: 168, hash: "90a21d9a" };

test(
  "nothing is lost, every duplicate is explained, every invariant holds",
  { timeout: 600_000 },
  async () => {
    const [begin, before] = [performance.now(), used()];
    const { coverage, failure } = await simulate({ runs: RUNS, ...ASKED });
    console.log(
      `${coverage}; ${((performance.now() - begin) / 1000).toFixed(1)} s, ${
        (used() - before).toFixed(1)
      } of a core`,
    );
    expect(failure).toBeUndefined();
    if (RUNS < 2000 || ASKED.path !== undefined) return;
    // A slice is no proof that everything occurs.
    expect(coverage.missing).toEqual([]);
    // All of it is played within two minutes, on a core of its own.
    expect(used() - before).toBeLessThan(120);
  },
);

test("the same plan gives the same history", async () => {
  for (const plan of fc.sample(plans, { seed: 7, numRuns: 3 })) {
    const [one, other] = [await play(plan), await play(plan)];
    expect(other.hash).toBe(one.hash);
    expect([...other.history]).toEqual([...one.history]);
  }
});

// As in test/testing/simulator: who changes what is said on the wire, or what a fault does, changes this one. See that all runtimes agree.
test("one seed gives one trace on every runtime, with the faults of its plan", async () => {
  const [plan] = fc.sample(plans, { seed: GOLDEN.seed, numRuns: 1 });
  if (plan === undefined) throw new Error("no plan");
  const { hash, history } = await play(plan);
  const struck = [...history].flatMap((entry) =>
    entry.is === "fault" ? [`${entry.fault} ${entry.detail}`.trim()] : []
  );
  expect(struck).toEqual(expect.arrayContaining(["freeze", "restart dirty", "kill", "cut"]));
  expect(hash).toBe(GOLDEN.hash);
});

test("a failure's first line replays it: the same plan, with the same thing wrong", async () => {
  // A check that is wrong: a worker may well die in a run.
  const judge = ({ history }: Outcome): readonly string[] =>
    [...history].flatMap((entry) =>
      entry.is === "worker-killed" ? [`${entry.node} was killed at ${entry.at}`] : []
    );
  const { failure = "" } = await simulate({ runs: 50, seed: 20_261_201, judge });
  const [, line = "", what = ""] =
    /^(SIM_SEED=-?\d+ SIM_PATH=[\d:]+) \(after \d+ runs\)\n([^]+)$/.exec(failure) ?? [];
  expect(what).toMatch(/^w\d+ was killed at \d+\n/);
  // It was made smaller, so that it is not a run that the seed alone would come to.
  expect(line).toMatch(/:/);
  const env = Object.fromEntries(line.split(" ").map((part) => part.split("=")));
  const again = await simulate({ runs: 1, ...asked(env, 0), shrink: false, judge });
  expect(again.failure).toBe(`${line} (after 1 runs)\n${what}`);
  // And what was mended is green there.
  expect((await simulate({ runs: 1, ...asked(env, 0) })).failure).toBeUndefined();
});
