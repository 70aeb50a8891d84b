import { simulate } from "../simulation/simulate.ts";
import type { Part } from "./part.ts";

/** Runs between two looks at the clock. */
const SHARE = 500;

export const part: Part = {
  name: "simulation",
  what:
    "Random load, faults and order on the simulated network: after heal and quiet nothing is lost, every duplicate is explained, every invariant held.",
  needs: [],
  runs: 50_000,
  async run({ runs, seed, path, until, say }) {
    const coverage: Record<string, number> = {};
    const seeds: number[] = [];
    let done = 0;
    while (done < runs && performance.now() < until) {
      const share = path === undefined ? Math.min(SHARE, runs - done) : 1;
      const from = seed + seeds.length;
      const one = await simulate({ runs: share, seed: from, ...(path === undefined ? {} : { path }) });
      if (one.failure !== undefined) {
        throw new Error(`--seed ${from} (${done} runs before it)\n${one.failure}`);
      }
      seeds.push(from);
      for (const [name, count] of Object.entries(one.coverage.toJSON())) {
        coverage[name] = (coverage[name] ?? 0) + count;
      }
      done += share;
      say(`${done} runs`);
      if (path !== undefined) break;
    }
    return { runs: done, seeds, counts: { lost: 0, "duplicates unexplained": 0 }, coverage };
  },
};
