/**
 * Many sequences at once, each lane on connections of its own.
 *
 * @module
 */
import fc from "fast-check";
import { Coverage } from "../../support/coverage.ts";
import { pause } from "../../support/wait.ts";
import { CHANNEL_CLASSES, TIME_CLASSES } from "./classes.ts";
import { compare, Divergence, TooSlow } from "./compare.ts";
import { isTimed, type Pick, picksOf, type Profile } from "./plan.ts";
import { RealServer } from "./server.ts";

/** What is run, and how. */
export interface DifferentialOptions {
  readonly url: string;
  readonly profile: Profile;
  /** Sequences altogether. */
  readonly runs: number;
  /** Lanes take this seed and those after it. */
  readonly seed: number;
  readonly lanes: number;
  /** Replays one sequence of one lane. */
  readonly path?: string;
  /** No sequence begins after this instant of `performance.now()`. */
  readonly until?: number;
  readonly onSequence?: (done: number) => void;
}

/** What came of it. */
export interface DifferentialReport {
  readonly sequences: number;
  readonly steps: number;
  readonly leftOut: number;
  /** Sequences whose times this machine could not keep. They do not count. */
  readonly tooSlow: number;
  readonly seeds: readonly number[];
  readonly cover: Coverage;
}

/** Longest wait for the real server; once something differed, the search for the shortest sequence is less patient. */
const PATIENCE = 3000;
const HASTE = 150;
/** How often a sequence is run where time matters and this machine is busy. */
const ATTEMPTS = 3;
/** The search takes this long at most, ms. */
const SEARCH = 60_000;

/** Throws at the first divergence, with seed, path and the shortest sequence of steps that was found to show it. */
export async function differential(options: DifferentialOptions): Promise<DifferentialReport> {
  const run = new Differential(options);
  const { runs, seed, lanes } = options;
  const seeds = Array.from({ length: Math.min(lanes, runs) }, (_, number) => seed + number);
  const ends = await Promise.allSettled(
    seeds.map((one, number) => run.lane(one, Math.ceil((runs - number) / lanes), number)),
  );
  const reasons = ends.flatMap((end) => end.status === "rejected" ? [messageOf(end.reason)] : []);
  if (reasons.length > 0) throw new Error(reasons.join("\n\n"));
  return { ...run.report, sequences: run.cover.runs, seeds, cover: run.cover };
}

class Differential {
  readonly report = { steps: 0, leftOut: 0, tooSlow: 0 };
  readonly cover: Coverage;
  readonly #options: DifferentialOptions;
  #failed = false;

  constructor(options: DifferentialOptions) {
    this.#options = options;
    this.cover = new Coverage(options.profile.name, options.profile.classes, [
      ...CHANNEL_CLASSES,
      ...TIME_CLASSES,
    ]);
  }

  async lane(seed: number, numRuns: number, number: number): Promise<void> {
    const { url, profile, lanes, path, until = Infinity, onSequence } = this.#options;
    await using server = new RealServer(url);
    // Side by side in time, too: all that is due at one instant would be late.
    if (isTimed(profile)) await pause(number * (profile.waits[0] ?? 0) / lanes);
    let mine = false;
    let end = until;
    const property = fc.asyncProperty(picksOf(profile), async (picks) => {
      // Another lane has found something, or the time is over: the rest is not run.
      if ((this.#failed && !mine) || performance.now() >= end) return;
      try {
        if (!await this.#judge(picks, server, mine ? HASTE : PATIENCE) || mine) return;
        this.cover.runs++;
        onSequence?.(this.cover.runs);
      } catch (error) {
        // One search is enough.
        if (this.#failed && !mine) return;
        if (!mine) end = performance.now() + SEARCH;
        this.#failed = true;
        mine = true;
        throw error;
      }
    });
    const replay = path === undefined ? { numRuns } : { numRuns: 1, path };
    const details = await fc.check(property, { seed, ...replay });
    if (!details.failed) return;
    const where =
      `seed ${details.seed}, path "${details.counterexamplePath}", ${details.numShrinks} times shrunk`;
    throw new Error(`${profile.name}: ${where}: ${messageOf(details.errorInstance)}`);
  }

  /** False when nothing can be said. */
  async #judge(picks: readonly Pick[], server: RealServer, patience: number): Promise<boolean> {
    const { profile } = this.#options;
    let doubt: Divergence | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        const { steps, leftOut } = await compare(picks, { server, profile, cover: this.cover, patience });
        this.report.steps += steps;
        this.report.leftOut += leftOut;
        return true;
      } catch (error) {
        if (error instanceof TooSlow) continue;
        // Where time matters a busy machine can make a message end late; what is wrong is wrong each time.
        if (!(error instanceof Divergence) || !isTimed(profile) || doubt !== undefined) throw error;
        doubt = error;
      }
    }
    if (doubt !== undefined) throw doubt;
    this.report.tooSlow++;
    return false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
