import { cutRun, LIMIT } from "../redis/proof/cut-run.ts";
import type { Part } from "./part.ts";

export const part: Part = {
  name: "redis-cuts",
  what:
    "A01: after each of 50 cuts of its link to Redis a worker runs the next task in time; meanwhile it does not look alive.",
  needs: ["redis"],
  runs: 50,
  async run({ redis, runs, say, until }) {
    // The server is its own: it is restarted again and again.
    await redis()[Symbol.asyncDispose]();
    const { cover, repeated, slowest } = await cutRun({
      ...{ cuts: runs, until, hole: 7000, away: 10_000, commandTimeout: "5s" },
      onCut: say,
    });
    if (slowest > LIMIT) throw new Error(`a task ran ${slowest} ms after a cut`);
    return {
      runs: cover.runs,
      seeds: [],
      counts: { "slowest task after a cut, ms": Math.round(slowest), "tasks that ran twice": repeated },
      coverage: cover.toJSON(),
    };
  },
};
