import { PROPERTIES } from "../memory/rabbit/properties/mod.ts";
import { check, coverageOf } from "../memory/rabbit/properties/property.ts";
import type { Part } from "./part.ts";

/** Runs between two looks at the clock. */
const SHARE = 500;

export const part: Part = {
  name: "rabbit-properties",
  what: `${PROPERTIES.map(({ name }) => name).join(", ")}: each holds for the reducer alone.`,
  needs: [],
  runs: 20_000,
  async run({ runs, seed, path, until, say }) {
    const coverage: Record<string, number> = {};
    const counts: Record<string, number> = {};
    const seeds = new Set<number>();
    for (const property of PROPERTIES) {
      const cover = coverageOf(property);
      while (cover.runs < runs && performance.now() < until) {
        const share = Math.min(SHARE, runs - cover.runs);
        const from = seed + cover.runs / SHARE;
        seeds.add(from);
        check(property, cover, { runs: share, seed: from, ...(path === undefined ? {} : { path }) });
        say(`${property.name}: ${cover.runs} runs`);
        // The runner's signals are heard in between.
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      counts[property.name] = cover.runs;
      for (const [one, count] of Object.entries(cover.toJSON())) coverage[`${property.name}: ${one}`] = count;
    }
    return { runs: Math.min(...Object.values(counts)), seeds: [...seeds], counts, coverage };
  },
};
