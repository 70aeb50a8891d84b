import fc from "fast-check";
import { expect, test } from "vitest";
import { Celery } from "../../../src/app/app.ts";
import { picksOf } from "../../../src/testing/simulator/prng.ts";
import { rig } from "./setup.ts";

interface Run {
  readonly hash: string;
  readonly events: number;
  /** "worker x" of each run, in the order of the runs. */
  readonly order: readonly string[];
  readonly results: readonly number[];
  readonly firstId: string;
  readonly picks: readonly number[];
}

/** Twelve sums, every third an hour away, by two workers with two slots each. */
async function sums(seed: number, picks: Iterable<number> = []): Promise<Run> {
  const origin = new Celery("sums");
  const order: string[] = [];
  origin.task(
    "t.add",
    { bind: true, params: ["x", "y"] },
    async (task, x: number, y: number) => {
      order.push(`${task.hostname.slice(7)} ${x}`);
      await Promise.resolve();
      return x + y;
    },
  );
  const { app, close, simulator, work } = rig(origin, { seed, picks });
  for (const name of ["one", "two"]) work(name, { concurrency: 2, prefetchMultiplier: 1 });
  const sent = await Promise.all(Array.from({ length: 12 }, (_, x) => {
    const later = x % 3 === 0 ? { countdown: "1h" } as const : {};
    return app.sendTask<number>("t.add", { args: [x, 100], ...later });
  }));
  await simulator.idle();
  const results = await Promise.all(sent.map((result) => result.get()));
  await close();
  await simulator.settle();
  expect(simulator.timers).toEqual([]);
  const { events, hash } = simulator;
  return { hash, events, order, results, firstId: sent[0]?.id ?? "", picks: [...simulator.picks] };
}

const SUMS = Array.from({ length: 12 }, (_, x) => x + 100);

test("a whole system runs in one thread, and an hour passes by itself", async () => {
  const { order, results } = await sums(1);
  expect(results).toEqual(SUMS);
  expect(order.map((run) => Number(run.slice(4)) % 3 === 0).lastIndexOf(false)).toBe(7);
});

test("the same seed and picks give the same trace, ids included, and another seed another", async () => {
  const [first, again, other] = [await sums(7), await sums(7), await sums(8)];
  expect(again).toEqual(first);
  expect(other.hash).not.toBe(first.hash);
  expect(other.firstId).not.toBe(first.firstId);
});

// Who makes the worker or the memory pair say more or less to each other changes these: see that all runtimes agree, and write them anew.
test.each(
  [
    ["the oldest first", [], "06c26804"],
    ["picks of the seed", picksOf(42), "53d3f2f8"],
  ] as const,
)("one seed gives one trace on every runtime: %s", async (_what, picks, golden) => {
  expect((await sums(42, picks)).hash).toBe(golden);
});

test("picks are data: those that were used bring the same run again, and none at all is the oldest first", async () => {
  const drawn = await sums(3, picksOf(3));
  const again = await sums(3, drawn.picks);
  expect(again).toEqual({ ...drawn, picks: again.picks });
  const oldest = await sums(3);
  expect(oldest.picks).toEqual([]);
  expect(await sums(3, [0, 0, 0])).toEqual(oldest);
  expect(drawn.order).not.toEqual(oldest.order);
});

test("P34: any schedule gives the same trace twice, and every sum", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(2 ** 31),
      fc.array(fc.nat(50), { minLength: 100, maxLength: 300 }),
      async (seed, picks) => {
        const [first, second] = [await sums(seed, picks), await sums(seed, picks)];
        expect(second).toEqual(first);
        expect(first.results).toEqual(SUMS);
        seen.add(first.order.join());
      },
    ),
    { numRuns: 20 },
  );
  // Else the schedule would change nothing.
  expect(seen.size).toBeGreaterThan(5);
});

test("a failure shrinks towards the oldest first: few picks are left, and each is needed", async () => {
  const oldest = await sums(1);
  const isOther = async (picks: readonly number[]): Promise<boolean> =>
    (await sums(1, picks)).order[0] !== oldest.order[0];
  const details = await fc.check(
    fc.asyncProperty(fc.array(fc.nat(7), { maxLength: 40 }), async (picks) => {
      expect(await isOther(picks)).toBe(false);
    }),
    { numRuns: 60, seed: 1 },
  );
  expect(details.failed).toBe(true);
  expect(details.numShrinks).toBeGreaterThan(0);
  const [picks = []] = details.counterexample ?? [];
  const needed = picks.flatMap((pick, at) => pick === 0 ? [] : [at]);
  expect(needed.length).toBeLessThanOrEqual(4);
  for (const at of needed) expect(await isOther(picks.with(at, 0))).toBe(false);
});
