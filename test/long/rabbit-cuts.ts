import { cutRun, LIMIT } from "../acceptance/cuts-run.ts";
import type { Part } from "./part.ts";

export const part: Part = {
  name: "rabbit-cuts",
  what:
    "A01: after each of 50 cuts of its link to RabbitMQ a worker runs the next task in time; meanwhile its health is red.",
  needs: ["rabbit"],
  runs: 50,
  async run({ rabbit, runs, say, until }) {
    const { cover, repeated, slowest } = await cutRun({
      ...{ server: rabbit(), cuts: runs, until, hole: 7000, away: 10_000 },
      onCut: say,
    });
    if (slowest > 2 * LIMIT) throw new Error(`a task ran ${slowest} ms after a cut`);
    return {
      runs: cover.runs,
      seeds: [],
      counts: { "slowest task after a cut, ms": Math.round(slowest), "tasks that ran twice": repeated },
      coverage: cover.toJSON(),
    };
  },
};
