/**
 * Time limits (Celery: `soft_time_limit`, `time_limit`). Within one event loop the soft one asks the task to end, and the hard one ends the
 * wait for it; neither can stop code that does not let go of the loop.
 *
 * @module
 */
import { SoftTimeLimitExceeded, TimeLimitExceeded } from "../app/time-limits.ts";
import { deferred } from "../lib/deferred.ts";
import type { Timer } from "../lib/port.ts";
import { tracebackOf } from "../protocol/exception.ts";
import { failed, type Failure, type Outcome } from "./outcome.ts";
import type { Request } from "./request.ts";

/** How long runs may take, ms; 0 is for ever. */
export interface Limits {
  readonly hard: number;
  readonly soft: number;
}

/** What its message says, if it says something; else the task, where 0 is none; else the worker. Undefined: it may run for ever. */
export function limitsOf({ env, message, task: { rules } }: Request): Limits | undefined {
  const hard = message.timeLimit || (rules.timeLimit ?? env.limits.hard);
  const soft = message.softTimeLimit || (rules.softTimeLimit ?? env.limits.soft);
  return hard > 0 || soft > 0 ? { hard, soft } : undefined;
}

/**
 * What comes of the run that `began` at that time of the clock; rejects with `TimeLimitExceeded` at the hard limit, when the task's outcome stands already. What the run comes to
 * after that is told, and dropped.
 */
export function withinLimits(
  request: Request,
  { hard, soft }: Limits,
  began: number,
  run: Promise<unknown>,
): Promise<unknown> {
  const { env: { clock, probe }, message: { id } } = request;
  const { promise, resolve, reject } = deferred<unknown>();
  const timers: Timer[] = [];
  let isOver = false;
  const arm = (limit: number, reached: () => void): void => {
    if (limit === 0) return;
    timers.push(clock.after(Math.max(0, began + limit - clock.elapsed()), reached));
  };
  const end = (): void => timers.forEach((timer) => timer.cancel());
  arm(soft, () => {
    askToEnd(request, soft);
    probe?.limited?.(id, hard > 0);
  });
  arm(hard, () => {
    end();
    isOver = true;
    request.late = ended;
    reject(giveUp(request, hard));
  });
  probe?.limited?.(id, true);
  request.limits = { [Symbol.dispose]: end };
  const ended = run.then((value) => {
    if (isOver) return tellLate(request, {});
    end();
    resolve(value);
  }, (error: unknown) => {
    if (isOver) return tellLate(request, { error, traceback: tracebackOf(error) });
    end();
    reject(error);
  });
  return promise;
}

/** Whether the task ended by its hard limit. */
export function isTimeout(outcome: Outcome | undefined): outcome is Failure {
  return outcome?.is === "failure" && outcome.error instanceof TimeLimitExceeded;
}

/**
 * The soft limit, where that is what was thrown: many a function answers an aborted signal by an `AbortError` of its own, and does not say
 * why. Else what was thrown.
 */
export function heededSoftLimit({ aborted }: Request, thrown: unknown): unknown {
  const isAnswer = aborted instanceof SoftTimeLimitExceeded && thrown instanceof Error &&
    thrown.name === "AbortError";
  return isAnswer ? aborted : thrown;
}

/** A message says seconds, and 0.07 of them are 70.00000000000001 ms. */
function secondsOf(ms: number): number {
  return Math.round(ms * 1000) / 1e6;
}

function askToEnd(request: Request, limit: number): void {
  const { env: { logger }, about, label } = request;
  logger.log("warning", `Soft time limit (${secondsOf(limit)}s) exceeded for ${label}`, about);
  request.abort(new SoftTimeLimitExceeded());
}

/** The outcome stands before the signal is aborted: who hears of it can change nothing more. */
function giveUp(request: Request, limit: number): TimeLimitExceeded {
  const { env: { logger }, about, label } = request;
  logger.log("error", `Hard time limit (${secondsOf(limit)}s) exceeded for ${label}`, about);
  const error = new TimeLimitExceeded(secondsOf(limit));
  // Celery stores none: it is the worker that says so, not the task.
  request.outcome = { ...failed(error), traceback: null };
  request.abort(error);
  return error;
}

function tellLate(request: Request, how: { readonly error?: unknown; readonly traceback?: string }): void {
  const { env: { logger }, about, label } = request;
  const line = `Task ${label} ended after its hard time limit: what it came to is dropped.`;
  logger.log("warning", line, { ...about, ...how, code: "late-outcome" });
}
