/** Workers are killed while tasks go through them: none is lost, and each that runs again does so for a reason. */
import { expect, test } from "vitest";
import { killRun } from "./kill/run.ts";

test(
  "SIGKILL at random moments, at named points and between a claim and its answer loses no task",
  async () => {
    const report = await killRun({
      ...{ late: 300, early: 50, kills: 24, processes: 3, workers: 2, seed: 7 },
      consumerTimeout: "2s",
    });
    console.log(report);
    expect(report).toMatchObject({
      lost: [],
      lostEarly: [],
      unexplained: [],
      phantoms: [],
      stored: 300,
      left: 0,
    });
    expect(report.kills).toBeGreaterThanOrEqual(24);
    expect(report.killedAt["between claim and settle"]).toBeGreaterThan(report.kills / 3);
  },
  240_000,
);
