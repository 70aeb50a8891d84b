import { pythonKillRun } from "../redis/proof/kill/python.ts";
import { killRun } from "../redis/proof/kill/run.ts";
import type { Part } from "./part.ts";

/** Tasks for each kill. */
const LATE = 25;
const EARLY = 2.5;

export const part: Part = {
  name: "redis-kill",
  what:
    "Processes of workers killed thousands of times while 50,000 tasks go through them lose none; the same with a Celery worker beside it.",
  needs: ["redis"],
  runs: 2000,
  async run({ redis, runs, say, seed, until }) {
    const report = await killRun({
      ...{ url: redis().url, seed, until, kills: runs, late: runs * LATE, early: Math.round(runs * EARLY) },
      ...{ processes: 4, workers: 2, onProgress: say },
    });
    const {
      cutShort,
      deaths,
      early,
      kills,
      killedAt,
      late,
      left,
      leasesLost,
      repeated,
      repeatedEarly,
      seconds,
      stored,
    } = report;
    const wrong = [...report.lost, ...report.lostEarly, ...report.unexplained, ...report.phantoms];
    if (wrong.length > 0 || stored !== late || left > 0) throw new Error(JSON.stringify(report));
    // So many kills as come in a few minutes: each start of a Celery worker takes a second or two.
    const python = await pythonKillRun({
      kills: Math.min(100, runs),
      late: 20_000,
      until: Math.min(until, performance.now() + 300_000),
    });
    return {
      runs: kills,
      seeds: [seed],
      counts: {
        ...{
          "late tasks": late,
          "late tasks lost": 0,
          "runs of late tasks beyond the first, each explained": repeated,
        },
        ...{
          "early tasks": early,
          "early tasks cut short by a kill": cutShort,
          "runs of early tasks beyond the first": repeatedEarly,
        },
        ...{
          "processes killed": kills,
          "workers killed with them": report.workersKilled,
          "leases lost while alive": leasesLost,
          seconds,
        },
        ...{
          "python: tasks": python.late,
          "python: workers killed": python.kills,
          "python: tasks lost": python.lost,
        },
        ...{
          "python: runs beyond the first": python.repeated,
          "python: left in Redis": python.left,
          "python: seconds": python.seconds,
        },
      },
      coverage: { ...deaths, ...killedAt },
    };
  },
};
