/**
 * Many simulated runs, and a line that replays the one that failed.
 *
 * @module
 */
import * as fc from "fast-check";
import type { Coverage } from "../support/coverage.ts";
import { count, newCoverage } from "./coverage.ts";
import { type Plan, plans } from "./plan.ts";
import { type Outcome, play } from "./scene.ts";

/** How many runs, and which. */
export interface SimulateOptions {
  readonly runs: number;
  /** The same seed gives the same runs, on every runtime. */
  readonly seed: number;
  /** Leads to one run of the seed, as a failure prints it. */
  readonly path?: string;
  /** Failures are made smaller. @default true */
  readonly shrink?: boolean;
  /** What more is wrong with a run, a line each. */
  readonly judge?: (outcome: Outcome) => readonly string[];
}

/** The search for a smaller failure takes this long at most, ms: the line that replays it is told in any case. */
const SEARCH = 30_000;

/** Which runs the environment asks for, in the words of a failure's first line; `seed` where it asks for none. */
export function asked(
  env: Readonly<Record<string, string | undefined>>,
  seed: number,
): Pick<SimulateOptions, "seed" | "path"> {
  const { SIM_PATH, SIM_SEED } = env;
  return { seed: Number(SIM_SEED ?? seed), ...(SIM_PATH === undefined ? {} : { path: SIM_PATH }) };
}

/** What came of them. */
export interface Simulated {
  readonly coverage: Coverage;
  /** Undefined where nothing was wrong: else the replay line, what was wrong, and the plan. */
  readonly failure: string | undefined;
}

/** Plays that many plans; stops at the first that goes wrong. */
export async function simulate(options: SimulateOptions): Promise<Simulated> {
  const { runs, seed, path, shrink = true, judge = () => [] } = options;
  const coverage = newCoverage();
  let end: number | undefined;
  const property = fc.asyncProperty(plans, async (plan) => {
    if (end !== undefined && performance.now() > end) return;
    const outcome = await play(plan);
    const problems = [...outcome.problems, ...judge(outcome)];
    if (problems.length > 0) end ??= performance.now() + SEARCH;
    if (problems.length > 0) throw new Error(problems.join("\n"));
    // Smaller versions of a failure are no coverage.
    if (end === undefined) count(coverage, outcome);
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
