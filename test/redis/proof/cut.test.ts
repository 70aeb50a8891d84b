/** A link to Redis that breaks in every way: the worker goes on consuming. */
import { expect, test } from "vitest";
import { cutRun, CUTS, LIMIT } from "./cut-run.ts";

test(
  "A01: after resets, black holes and restarts the next task runs in time, and meanwhile the worker looks dead",
  async () => {
    const { cover, repeated, slowest } = await cutRun({
      ...{ cuts: CUTS.length, hole: 1500, away: 2000 },
      commandTimeout: "1s",
    });
    console.log(`${cover}; the slowest ${slowest.toFixed(0)} ms, ${repeated} ran twice`);
    expect(cover.missing).toEqual([]);
    expect(slowest).toBeLessThan(LIMIT);
  },
  180_000,
);
