import { leaseProperty } from "../redis/proof/lease-property.ts";
import type { Part } from "./part.ts";

export const part: Part = {
  name: "redis-lease",
  what: "P15: whatever consumers on Redis do, and die of, each message is in one place after every script.",
  needs: ["redis"],
  runs: 2000,
  async run({ path, redis, runs, say, seed, until }) {
    const { cover, steps } = await leaseProperty({
      ...{ url: redis().url, runs, seed, until, ...(path === undefined ? {} : { path }) },
      onRun: (done) => say(`${done} sequences`),
    });
    return { runs: cover.runs, seeds: [seed], counts: { violations: 0, steps }, coverage: cover.toJSON() };
  },
};
