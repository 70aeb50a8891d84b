import { parkedRun } from "../acceptance/parked-run.ts";
import type { Part } from "./part.ts";

export const part: Part = {
  name: "rabbit-parked",
  what:
    "A21: 200,000 tasks whose time is far wait in RabbitMQ, not in the worker; what is due meanwhile is served; each runs once, and none too early.",
  needs: ["rabbit"],
  runs: 200_000,
  async run({ rabbit, runs, say, until }) {
    const report = await parkedRun({
      ...{ server: rabbit(), tasks: runs, until, onProgress: say },
      // Slowly enough for a machine that does other things, too.
      ...{ first: 60_000 + 4 * runs, spread: 60_000 + runs },
    });
    if (report.most > report.before + 400) throw new Error(JSON.stringify(report));
    const { before, broker, held, latest, most, parking, probes, slowestProbe } = report;
    return {
      runs,
      seeds: [],
      counts: {
        "until all were put off, s": Math.round(parking / 1000),
        "this process before, MiB": before,
        "this process at most, MiB": most,
        "tasks in the worker's hands, at most": held,
        "RabbitMQ as all waited, MiB": broker,
        "slowest of the tasks due at once, ms": Math.round(slowestProbe),
        "latest start after its time, ms": latest,
      },
      coverage: { "tasks that were due at once": probes, "tasks that were put off": runs },
    };
  },
};
