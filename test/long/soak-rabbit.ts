import type { Part } from "./part.ts";
import { soak } from "./soak/run.ts";

export const part: Part = {
  name: "soak-rabbit",
  what:
    "Half an hour of mixed tasks through three processes of workers on RabbitMQ, with a fault every 20 s: none lost, each repeat explained, the heap flat.",
  needs: ["rabbit", "redis"],
  runs: 90,
  async run({ rabbit, redis, runs, say, seed, until }) {
    return await soak({
      kind: "rabbit",
      broker: rabbit(),
      backend: redis().url,
      ...{ faults: runs, say, seed, until },
    });
  },
};
