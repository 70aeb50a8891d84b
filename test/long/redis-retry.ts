import { retryProperty } from "../redis/proof/retry-property.ts";
import type { Part } from "./part.ts";

export const part: Part = {
  name: "redis-retry",
  what: "P17: over HTTP each publish stands there once, though any request is repeated and any answer lost.",
  needs: ["redis"],
  runs: 1000,
  async run({ redis, runs, say, seed, until }) {
    const cover = await retryProperty({
      ...{ url: redis().url, runs, seed, until },
      onRun: (done) => say(`${done} cases`),
    });
    return { runs: cover.runs, seeds: [seed], counts: { violations: 0 }, coverage: cover.toJSON() };
  },
};
