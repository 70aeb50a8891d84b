/**
 * Many simulated runs, and a line that replays the one that failed.
 *
 * @module
 */
import * as fc from "fast-check";
import type { Coverage } from "../support/coverage.ts";
import { count, newCoverage } from "./coverage.ts";
import { type Plan, plans } from "./plan.ts";
import { play } from "./scene.ts";

/** How many runs, and which. */
export interface SimulateOptions {
  readonly runs: number;
  /** The same seed gives the same runs, on every runtime. */
  readonly seed: number;
  /** Leads to one run of the seed, as a failure prints it. */
  readonly path?: string;
  /** Failures are made smaller. @default true */
  readonly shrink?: boolean;
}

/** What came of them. */
export interface Simulated {
  readonly coverage: Coverage;
  /** Undefined where nothing was wrong: else the replay line, what was wrong, and the plan. */
  readonly failure: string | undefined;
}

/** Plays that many plans; stops at the first that goes wrong. */
export async function simulate(options: SimulateOptions): Promise<Simulated> {
  const { runs, seed, path, shrink = true } = options;
  const coverage = newCoverage();
  let failed = false;
  const property = fc.asyncProperty(plans, async (plan) => {
    const outcome = await play(plan);
    failed ||= outcome.problems.length > 0;
    if (outcome.problems.length > 0) throw new Error(outcome.problems.join("\n"));
    // Smaller versions of a failure are no coverage.
    if (!failed) count(coverage, outcome);
  });
  const result = await fc.check<[Plan]>(property, {
    numRuns: runs,
    seed,
    endOnFailure: !shrink,
    ...(path === undefined ? {} : { path }),
  });
  if (!result.failed) return { coverage, failure: undefined };
  const replay = `SIM_SEED=${result.seed} SIM_PATH=${result.counterexamplePath ?? ""}`;
  const why = result.errorInstance instanceof Error
    ? result.errorInstance.message
    : String(result.errorInstance);
  const plan = JSON.stringify(result.counterexample?.[0]);
  return { coverage, failure: `${replay} (after ${result.numRuns} runs)\n${why}\n${plan}` };
}
