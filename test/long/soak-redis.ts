import type { Part } from "./part.ts";
import { soak } from "./soak/run.ts";

export const part: Part = {
  name: "soak-redis",
  what:
    "Half an hour of mixed tasks through three processes of workers on Redis, with a fault every 20 s: none lost, each repeat explained, the heap flat.",
  needs: ["redis"],
  runs: 90,
  async run({ redis, runs, say, seed, until }) {
    const server = redis();
    return await soak({
      kind: "redis",
      broker: server,
      backend: server.url,
      ...{ faults: runs, say, seed, until },
    });
  },
};
