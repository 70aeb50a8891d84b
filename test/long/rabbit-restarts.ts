import { restartRun } from "../acceptance/restarts-run.ts";
import type { Part } from "./part.ts";

export const part: Part = {
  name: "rabbit-restarts",
  what:
    "A16, A07: RabbitMQ restarted 100 times in the middle of a task: the late ack is not sent and harms nobody, the second run is flagged, and no publish after a restart is lost in silence.",
  needs: ["rabbit"],
  runs: 100,
  async run({ rabbit, runs, say, until }) {
    const { cover, publishes } = await restartRun({
      ...{ server: rabbit(), restarts: runs, until },
      onRestart: say,
    });
    return {
      runs: cover.runs,
      seeds: [],
      counts: {
        "first publishes after a restart: confirmed, and each run once": publishes.confirmed,
        "first publishes after a restart: told as unknown": publishes.unknown,
        "first publishes after a restart: told as refused": publishes.refused,
      },
      coverage: cover.toJSON(),
    };
  },
};
