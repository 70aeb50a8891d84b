/**
 * How a harness is made.
 *
 * @module
 */
import { ConfigurationError } from "../../errors.ts";
import { demand } from "../../lib/demand.ts";
import { type Duration, toMs } from "../../lib/duration.ts";
import { consoleLogger } from "../../lib/console-logger.ts";
import type { Logger } from "../../lib/logger.ts";
import { silentLogger } from "../../lib/logger.ts";
import { checkOptionNames } from "../../lib/options.ts";
import { guarded } from "../../worker/guarded.ts";

/** The options of `createHarness`. */
export interface HarnessOptions {
  /** Ids and chance come of it: a whole number. The same test with the same seed does the same. @default 1 */
  readonly seed?: number;
  /** When its time begins: a `Date`, or ISO text. @default 2026-01-01T00:00:00Z */
  readonly now?: Date | string;
  /** How many workers run from the start. @default 1 */
  readonly workers?: number;
  /** Tasks that each of them runs at a time. @default the setting `workerConcurrency`, or 10 */
  readonly concurrency?: number;
  /**
   * How long, in real time, a task may wait for something outside; a number is seconds. After that a task with a time limit is left to it:
   * time moves on. vitest, Bun and Jest end a test of more than 5 s themselves unless they are told otherwise: what has waited for 4 s is
   * therefore named in a warning, to `logger` or, without one, to the console. @default 5
   */
  readonly patience?: Duration;
  /**
   * The schedule: which of the events that are ready goes first, again and again; 0, and past the end every pick, is the oldest. An array of
   * fast-check shrinks to few picks; `picksOf(seed)` never ends.
   */
  readonly picks?: Iterable<number>;
  /**
   * How much is kept of what was enqueued and of the history: all of it, the latest so many entries, or nothing, for tests that run tasks
   * by the million. What needs all of it, `check` and each refutation, then throws "history-incomplete". @default true
   */
  readonly record?: boolean | number;
  /** Takes log lines of client and workers, and the harness's own warnings. @default silent, but for those: they go to the console */
  readonly logger?: Logger;
}

/** The same, checked and complete. */
export interface Settled {
  readonly seed: number;
  /** ms since the epoch. */
  readonly now: number;
  readonly workers: number;
  readonly concurrency: number | undefined;
  /** ms. */
  readonly patience: number;
  /** ms of waiting after which it is told of. */
  readonly worry: number;
  readonly picks: Iterable<number>;
  /** Entries; Infinity for all. */
  readonly keep: number;
  readonly logger: Logger;
  /** Takes what the harness has to say itself. */
  readonly ownLogger: Logger;
}

/** ms: what has not ended by then may be ended with its test, by a runner that names nobody. */
const WORRY = 4000;

const NAMES = ["concurrency", "logger", "now", "patience", "picks", "record", "seed", "workers"];

/** Throws `ConfigurationError` "option-unknown", "option-invalid", "duration-invalid". */
export function settle(options: HarnessOptions): Settled {
  checkOptionNames("createHarness", options, NAMES);
  const { seed = 1, workers = 1, concurrency, patience = 5, picks = [], record = true } = options;
  demand(Number.isSafeInteger(seed) && seed >= 0, "seed", "a whole number from 0");
  demand(Number.isSafeInteger(workers) && workers >= 0, "workers", "a whole number from 0");
  demand(typeof picks?.[Symbol.iterator] === "function", "picks", "a list of numbers");
  const keep = typeof record === "boolean" ? record ? Infinity : 0 : record;
  demand(keep === Infinity || (Number.isSafeInteger(keep) && keep >= 0), "record", "true, false or a number");
  return {
    seed,
    now: instantOf(options.now ?? "2026-01-01T00:00:00Z", "now"),
    workers,
    concurrency,
    patience: toMs(patience, "patience"),
    worry: WORRY,
    picks,
    keep,
    logger: options.logger ?? silentLogger,
    ownLogger: guarded(options.logger ?? consoleLogger()),
  };
}

/** ms since the epoch. Throws `ConfigurationError` "option-invalid". */
export function instantOf(instant: Date | string, name: string): number {
  const ms = new Date(instant).getTime();
  if (!Number.isNaN(ms)) return ms;
  throw new ConfigurationError("option-invalid", `${name} must be a Date or ISO text.`);
}
