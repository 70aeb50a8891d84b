/**
 * Retries: whether and when a task is run again (celery/app/task.py `retry`, celery/app/autoretry.py).
 *
 * @module
 */
import { Ignore, MaxRetriesExceededError, Reject, Retry, type RetryOptions } from "../app/predicates.ts";
import { RETRY_CHANGES } from "../app/resend.ts";
import type { TaskRules } from "../app/task-rules.ts";
import { ConfigurationError } from "../errors.ts";
import { toMs } from "../lib/duration.ts";
import { checkOptionNames } from "../lib/options.ts";
import { encodeException } from "../protocol/exception.ts";
import { instantText, parseInstant } from "../protocol/instant.ts";
import { saferepr } from "../protocol/repr.ts";
import { exceptionRepr } from "./lines.ts";
import { isOneOf } from "./outcome.ts";
import type { Request } from "./request.ts";

/** A retry that was asked for, with all that its message needs. */
export interface PlannedRetry {
  readonly retry: Retry;
  /** ms since the epoch; undefined is at once. */
  readonly eta: number | undefined;
}

const OPTIONS: readonly string[] = [
  "countdown",
  "eta",
  "error",
  "maxRetries",
  "args",
  "kwargs",
  "throw",
  ...RETRY_CHANGES,
];

/**
 * The retry that these options ask for. Throws the error that caused it, or `MaxRetriesExceededError`, where the retries are used up, and
 * `ConfigurationError` for options that make no sense.
 */
export function planRetry(request: Request, options: RetryOptions): PlannedRetry {
  const { env, message, task: { rules } } = request;
  checkOptionNames("A retry", options, OPTIONS);
  const { countdown, error, maxRetries = rules.maxRetries } = options;
  const eta = options.eta === undefined || options.eta === null ? undefined : instantOf(options.eta);
  const delay = countdown === undefined ? rules.retryDelay : toMs(countdown, "countdown");
  if (maxRetries !== null && !Number.isSafeInteger(maxRetries)) {
    throw new ConfigurationError("option-invalid", "maxRetries must be a whole number, or null.");
  }
  if (maxRetries !== null && message.retries >= maxRetries) throw error ?? exceeded(request, options);
  const when = eta === undefined ? `in ${delay / 1000}s` : `at ${(instantText(eta) ?? "").replace("T", " ")}`;
  const why = error === undefined ? "" : `: ${exceptionRepr(encodeException(error))}`;
  return {
    retry: new Retry(options, `Retry ${when}${why}`),
    eta: eta ?? (delay === 0 ? undefined : env.now() + delay),
  };
}

/** The retry that the task's rules ask for after this error, or undefined (Celery: `autoretry_for`). */
export function autoretry(rules: TaskRules, error: unknown, retries: number, random: () => number):
  | RetryOptions
  | undefined {
  if (error instanceof Retry || error instanceof Ignore || error instanceof Reject) return undefined;
  if (!isOneOf(error, rules.autoretryFor) || isOneOf(error, rules.dontAutoretryFor)) return undefined;
  if (rules.retryBackoff === 0) return { ...rules.retryKwargs, error };
  const wait = backoff(rules.retryBackoff, retries, rules.retryBackoffMax);
  const jitter = rules.retryJitter ? Math.floor(random() * (wait + 1)) : wait;
  return { ...rules.retryKwargs, error, countdown: `${Math.min(jitter, wait)}ms` };
}

/** What the retry after so many waits, ms (celery/utils/time.py: `get_exponential_backoff_interval`). */
export function backoff(factor: number, retries: number, most: number): number {
  return Math.min(most, factor * 2 ** retries);
}

function instantOf(eta: Date | string): number {
  const ms = eta instanceof Date ? parseInstant(toIso(eta)) : parseInstant(eta);
  if (ms !== undefined) return ms;
  throw new ConfigurationError("option-invalid", "eta must be a Date or ISO text, in the years 1 to 9999.");
}

function toIso(date: Date): string | undefined {
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** Celery's sentence. */
function exceeded({ message, task }: Request, options: RetryOptions): MaxRetriesExceededError {
  const { args = message.args, kwargs = message.kwargs } = options;
  const list = args.length === 0 ? "()" : saferepr(args, 1024, true);
  return new MaxRetriesExceededError(
    `Can't retry ${task.name}[${message.id}] args:${list} kwargs:${saferepr(kwargs)}`,
  );
}
