import { blockedRun } from "../acceptance/blocked-run.ts";
import type { Part } from "./part.ts";

/** How long each run blocks, s. */
const SECONDS = 90;

export const part: Part = {
  name: "rabbit-blocked",
  what:
    "A14: a task blocks its thread for 90 s with a heartbeat of 10 s: the worker says so by name, goes on, and the task ends once or comes again flagged.",
  needs: ["rabbit"],
  runs: 1,
  async run({ rabbit, runs, say, until }) {
    const counts: Record<string, number> = {};
    const coverage: Record<string, number> = {};
    let done = 0;
    while (done < runs && performance.now() < until) {
      const { begun, connections, told, next } = await blockedRun({
        server: rabbit(),
        seconds: SECONDS,
        heartbeat: "10s",
      });
      done++;
      say(`${done} of ${runs}`);
      counts["times the task began"] = (counts["times the task began"] ?? 0) + begun;
      counts["connections of the worker"] = (counts["connections of the worker"] ?? 0) + connections;
      counts["the next task's end after the block, ms"] = Math.round(next);
      coverage["told of as blocked-loop"] = (coverage["told of as blocked-loop"] ?? 0) + told;
    }
    return { runs: done, seeds: [], counts, coverage };
  },
};
