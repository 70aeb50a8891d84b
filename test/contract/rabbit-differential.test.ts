/**
 * The reducer against a real RabbitMQ: equal commands, good ones and bad ones, give equal traces (P01). `npm run test:long` runs many
 * more of them.
 *
 * @module
 */
import { expect, inject, test } from "vitest";
import { differential } from "./rabbit/differential.ts";
import { CHANNELS } from "./rabbit/profiles.ts";

/** The reducer is the same on every runtime: one of them compares it at length, and meets every class of events. */
const AT_LENGTH = inject("runtime") === "node";
const RUNS = Number(process.env["DIFFERENTIAL_RUNS"] ?? (AT_LENGTH ? 300 : 60));
const SEED = Number(process.env["DIFFERENTIAL_SEED"] ?? 20_261_122);

test("P01: random channel commands give the same traces on the reducer and on RabbitMQ", async () => {
  const report = await differential({
    url: inject("amqp"),
    profile: CHANNELS,
    runs: RUNS,
    seed: SEED,
    lanes: 4,
  });
  console.log(`${report.cover}; ${report.steps} steps compared, ${report.leftOut} left to chance`);
  expect(report.sequences).toBe(RUNS);
  if (AT_LENGTH) expect(report.cover.missing).toEqual([]);
}, 60_000 + RUNS * 3000);
