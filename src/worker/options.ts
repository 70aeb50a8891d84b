/**
 * What a worker is told when it is made.
 *
 * @module
 */
import type { Settings } from "../app/settings.ts";
import { checkLimits } from "../app/task-rules.ts";
import { ConfigurationError } from "../errors.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import type { Logger } from "../lib/logger.ts";
import { didYouMean } from "../lib/suggest.ts";
import type { Pool } from "../pool.ts";
import type { Limits } from "./limits.ts";
import type { WatchOptions } from "./watchdog.ts";

/** How a worker works. */
export interface WorkerOptions extends WatchOptions {
  /** The queues to consume. @default those of the app (`taskQueues`, or the default queue) */
  readonly queues?: readonly string[];
  /** Queues among them that are left alone (Celery: `worker -X`). @default [] */
  readonly excludeQueues?: readonly string[];
  /** Tasks that run at a time. @default the setting `workerConcurrency`, or 10 (Celery: one a CPU; tasks here share an event loop) */
  readonly concurrency?: number;
  /** Messages held for each slot, running ones included; 0 is unlimited. @default the setting `workerPrefetchMultiplier`, 4 */
  readonly prefetchMultiplier?: number;
  /** When it waits for a run no longer that has no `timeLimit` of its own; 0 is never. @default the setting `taskTimeLimit` */
  readonly timeLimit?: Duration;
  /** When it asks such a run to end, by `task.signal`; 0 is never. @default the setting `taskSoftTimeLimit` */
  readonly softTimeLimit?: Duration;
  /** The node name; `%h` is the host's name, `%n` its first part, `%d` its domain. @default "celery@%h" */
  readonly hostname?: string;
  /** What gives tasks their slots. @default the event loop, `concurrency` at a time */
  readonly pool?: Pool;
  /** Where log lines go. @default the app's logger */
  readonly logger?: Logger;
}

const OPTIONS = [
  "queues",
  "excludeQueues",
  "concurrency",
  "prefetchMultiplier",
  "hostname",
  "timeLimit",
  "softTimeLimit",
  "pool",
  "logger",
  "silenceLimit",
  "blockedLimit",
  "deadLimit",
] as const;

/** Throws `ConfigurationError` "option-unknown", "option-invalid". */
export function checkOptions(options: WorkerOptions): void {
  for (const name of Object.keys(options)) {
    if ((OPTIONS as readonly string[]).includes(name)) continue;
    const hint = didYouMean(name, OPTIONS) ?? `It has ${OPTIONS.join(", ")}.`;
    throw new ConfigurationError("option-unknown", `A worker has no option ${JSON.stringify(name)}.`, {
      hint,
    });
  }
  const { concurrency, excludeQueues, hostname, prefetchMultiplier, queues } = options;
  if (hostname !== undefined && typeof hostname !== "string") throw invalid("hostname", "a text");
  if (concurrency !== undefined && !isWhole(concurrency, 1)) {
    throw invalid("concurrency", "a whole number from 1 up");
  }
  if (prefetchMultiplier !== undefined && !isWhole(prefetchMultiplier, 0)) {
    throw invalid("prefetchMultiplier", "a whole number from 0 up");
  }
  if (queues !== undefined && (!Array.isArray(queues) || queues.length === 0)) {
    throw invalid("queues", "an array with the name of a queue at least");
  }
  if (excludeQueues !== undefined && !Array.isArray(excludeQueues)) {
    throw invalid("excludeQueues", "an array of names of queues");
  }
}

/**
 * The limits of tasks that have none of their own, ms. Throws `ConfigurationError` "duration-invalid", and "option-invalid" where an option
 * makes a soft limit that would never be reached.
 */
export function readLimits({ softTimeLimit, timeLimit }: WorkerOptions, settings: Settings): Limits {
  const hard = timeLimit === undefined ? settings.taskTimeLimit : toMs(timeLimit, "timeLimit");
  const soft = softTimeLimit === undefined
    ? settings.taskSoftTimeLimit
    : toMs(softTimeLimit, "softTimeLimit");
  // Settings are shared with Python, which takes them.
  if ((timeLimit ?? softTimeLimit) !== undefined) checkLimits("The worker", hard, soft);
  return { hard, soft };
}

function isWhole(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}

function invalid(name: string, what: string): ConfigurationError {
  return new ConfigurationError("option-invalid", `The worker's option ${name} must be ${what}.`);
}
