/**
 * What a task says of retries, acknowledgement and expected errors, checked and complete.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import { checkOptionNames } from "../lib/options.ts";
import { RETRY_CHANGES } from "./resend.ts";
import type { ErrorMatch, TaskOptions } from "./task.ts";

/** Durations are ms; `undefined` leaves it to the setting. */
export interface TaskRules {
  readonly acksOnFailure: boolean | undefined;
  readonly acksOnTimeout: boolean | undefined;
  /** 0: none. */
  readonly timeLimit: number | undefined;
  /** 0: none. */
  readonly softTimeLimit: number | undefined;
  /** null: without limit. */
  readonly maxDeliveries: number | null | undefined;
  /** null: for ever. */
  readonly maxRetries: number | null;
  readonly retryDelay: number;
  readonly autoretryFor: readonly ErrorMatch[];
  readonly dontAutoretryFor: readonly ErrorMatch[];
  readonly retryKwargs: NonNullable<TaskOptions["retryKwargs"]>;
  /** What the first retry waits; 0: no backoff. */
  readonly retryBackoff: number;
  readonly retryBackoffMax: number;
  readonly retryJitter: boolean;
  readonly throws: readonly ErrorMatch[];
}

/** Throws `ConfigurationError` "option-invalid", "option-unknown" or "duration-invalid". */
export function readRules(name: string, options: TaskOptions): TaskRules {
  const of = (option: string): string => `The option ${option} of task ${name}`;
  const { acksOnFailure, acksOnFailureOrTimeout, acksOnTimeout, defaultRetryDelay = 180, maxDeliveries } =
    options;
  const { retryBackoff = false, retryBackoffMax = 600, retryJitter = true, retryKwargs = {} } = options;
  const { autoretryFor = [], dontAutoretryFor = [], maxRetries = 3, throws = [] } = options;
  for (const [option, list] of Object.entries({ autoretryFor, dontAutoretryFor, throws })) {
    if (!Array.isArray(list) || !list.every(isMatch)) {
      throw invalid(of(option), "an array of error classes or names");
    }
  }
  for (const option of FLAGS) {
    const value = options[option];
    if (value !== undefined && typeof value !== "boolean") throw invalid(of(option), "true or false");
  }
  if (!isCount(maxRetries, 0)) throw invalid(of("maxRetries"), "a whole number from 0 up, or null");
  if (maxDeliveries !== undefined && !isCount(maxDeliveries, 1)) {
    throw invalid(of("maxDeliveries"), "a whole number from 1 up, or null");
  }
  const limit = (option: "softTimeLimit" | "timeLimit"): number | undefined => {
    const value = options[option];
    return value === undefined ? undefined : toMs(value, of(option));
  };
  const [timeLimit, softTimeLimit] = [limit("timeLimit"), limit("softTimeLimit")];
  checkLimits(`Task ${name}`, timeLimit, softTimeLimit);
  checkOptionNames(`The retryKwargs of task ${name}`, retryKwargs, RETRY_KWARGS);
  return {
    acksOnFailure: acksOnFailure ?? acksOnFailureOrTimeout,
    acksOnTimeout: acksOnTimeout ?? acksOnFailureOrTimeout,
    timeLimit,
    softTimeLimit,
    maxDeliveries,
    maxRetries,
    retryDelay: toMs(defaultRetryDelay, of("defaultRetryDelay")),
    autoretryFor,
    dontAutoretryFor,
    retryKwargs,
    retryBackoff: toMs(factor(retryBackoff), of("retryBackoff")),
    retryBackoffMax: toMs(retryBackoffMax, of("retryBackoffMax")),
    retryJitter,
    throws,
  };
}

/** Throws `ConfigurationError` "option-invalid" where the soft limit, in ms as the other one, would never be reached (Celery: ValueError). */
export function checkLimits(
  who: string,
  hard: number | null | undefined,
  soft: number | null | undefined,
): void {
  if (!hard || !soft || soft <= hard) return;
  throw new ConfigurationError(
    "option-invalid",
    `${who} has a softTimeLimit of ${soft / 1000} s, which must not be longer than its timeLimit of ${
      hard / 1000
    } s.`,
  );
}

const FLAGS = [
  "acksLate",
  "acksOnFailure",
  "acksOnFailureOrTimeout",
  "acksOnTimeout",
  "rejectOnWorkerLost",
  "retryJitter",
] as const;

const RETRY_KWARGS: readonly string[] = ["countdown", "eta", "maxRetries", ...RETRY_CHANGES];

function factor(backoff: boolean | Duration): Duration {
  return typeof backoff === "boolean" ? Number(backoff) : backoff;
}

function isMatch(value: unknown): boolean {
  return typeof value === "function" || (typeof value === "string" && value !== "");
}

function isCount(value: unknown, least: number): boolean {
  return value === null || (Number.isSafeInteger(value) && value as number >= least);
}

function invalid(what: string, is: string): ConfigurationError {
  return new ConfigurationError("option-invalid", `${what} must be ${is}.`);
}
