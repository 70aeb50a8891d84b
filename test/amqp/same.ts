/**
 * A scenario on both stages: what must become of its tasks becomes of them in the simulation, and on real servers.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { expect, inject } from "vitest";
import type { Scenario } from "./scenarios.ts";
import { real, type RealOptions } from "./stage-real.ts";
import { simulated } from "./stage-simulated.ts";
import { type Stage, verdictOf } from "./stages.ts";

const DOOMED = fileURLToPath(new URL("./fixtures/doomed.mjs", import.meta.url));

/** Real servers; the workers run on the runtime that the test runs on, started by `by` where that is given. */
export function realStage(
  servers: Omit<RealOptions, "command">,
  by: readonly string[] = [],
): Promise<Stage> {
  const flags = inject("runtime") === "deno" ? ["run", "-A"] : [];
  return real({ ...servers, command: [...by, process.execPath, ...flags, DOOMED] });
}

/** See the module. */
export async function same(
  { faults, fates, play, verdict }: Scenario,
  servers: Omit<RealOptions, "command">,
): Promise<void> {
  await using fake = simulated();
  await play(fake);
  const judged = await verdictOf(fake);
  const none = { lost: 0, forfeited: 0, unexpected: 0, duplicates: "none", recovered: 0, violations: [] };
  expect(judged).toEqual({ ok: true, ...none, ...verdict, faults, fates });
  await using stage = await realStage(servers);
  await play(stage);
  expect(await verdictOf(stage)).toEqual(judged);
}
