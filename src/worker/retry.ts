/**
 * Retries: when a task is run again, and the message that has it so (celery/app/task.py `retry`, celery/app/autoretry.py).
 *
 * @module
 */
import {
  Ignore,
  MaxRetriesExceededError,
  Reject,
  Retry,
  type RetryChanges,
  type RetryOptions,
} from "../app/predicates.ts";
import { RETRY_CHANGES } from "../app/resend.ts";
import type { TaskRules } from "../app/task-rules.ts";
import { CeleriacError, ConfigurationError, ConnectionError, PublishError } from "../errors.ts";
import { toMs } from "../lib/duration.ts";
import { checkOptionNames } from "../lib/options.ts";
import { pause } from "../lib/pause.ts";
import { encodeException } from "../protocol/exception.ts";
import { instantText, parseInstant } from "../protocol/instant.ts";
import { saferepr } from "../protocol/repr.ts";
import { exceptionRepr } from "./lines.ts";
import { failed, isOneOf } from "./outcome.ts";
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

/** Sends the message again; resolves once the broker has it. */
export async function sendRetry(request: Request, { retry: { options }, eta }: PlannedRetry): Promise<void> {
  const { env, message, delivery: { queue }, scope } = request;
  const { args, kwargs } = options;
  const changes: Record<string, unknown> = {};
  for (const name of RETRY_CHANGES) if (options[name] !== undefined) changes[name] = options[name];
  const change = {
    queue,
    eta,
    args,
    kwargs,
    retries: message.retries + 1,
    options: changes as RetryChanges,
  };
  await env.app.resend(message, change, scope);
}

/** Whether a repeat may help: the broker refused, or could not be asked. */
export function mayPass(error: unknown): boolean {
  return error instanceof PublishError || error instanceof ConnectionError;
}

/** Between two attempts to send what an early ack has left to this worker alone, ms. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

/**
 * Sends the retry of a task whose message the broker has forgotten: again and again until it is there, or the worker stops. What it throws
 * then is how the task failed.
 */
export async function insistOnRetry(request: Request, plan: PlannedRetry): Promise<void> {
  const { env } = request;
  for (let wait = FIRST_PAUSE;; wait = Math.min(2 * wait, LONGEST_PAUSE)) {
    // Asked before the attempt: the last one comes after the wait that the stop cut short.
    const isLast = env.stopping.aborted;
    try {
      return await sendRetry(request, plan);
    } catch (error) {
      if (!mayPass(error)) throw error;
      tellUnsent(request, error);
      if (isLast || env.stopping.aborted) throw lost(request, error);
    }
    await pause(env.clock, wait, env.stopping);
  }
}

/** A warning for each attempt that failed. */
export function tellUnsent({ env, label, about }: Request, error: unknown): void {
  const line = `Task ${label} could not send its retry: ${exceptionRepr(failed(error).exception)}`;
  env.logger.log("warning", line, { ...about, code: "retry-unsent", error });
}

function lost({ label }: Request, cause: unknown): CeleriacError {
  const text = `The retry of ${label} could not be sent before the worker stopped.`;
  return Object.assign(new CeleriacError("retry-lost", text, { cause }), { name: "RetryPublishError" });
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
