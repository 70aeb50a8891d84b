/**
 * The run itself: the task is called, and how it ended becomes a value.
 *
 * @module
 */
import { Retry } from "../app/predicates.ts";
import { CeleriacError, TaskRevokedError } from "../errors.ts";
import { AsyncResult } from "../result/async-result.ts";
import { isCutShort } from "./cut-short.ts";
import { heededSoftLimit, isTimeout, limitsOf, withinLimits } from "./limits.ts";
import { askedFor, failed, type Outcome, retried, revoked, succeeded } from "./outcome.ts";
import type { Request } from "./request.ts";
import { autoretry, planRetry } from "./retry.ts";
import { RunningTask } from "./running.ts";
import { runWithin } from "./tell.ts";

/** Calls the task within its limits. A task that returns at once has ended before a limit could be looked at. */
export function execute(request: Request): Outcome | Promise<Outcome> {
  const { env, message, refusal, scope, task } = request;
  if (refusal !== undefined) return failed(notImplemented(refusal));
  try {
    const running = new RunningTask(request, true);
    const began = env.clock.elapsed();
    const value = env.context.run(
      scope,
      () => runWithin(request, () => task.invoke(running, message.args, message.kwargs)),
    );
    if (!isThenable(value)) return succeeded(value);
    const limits = limitsOf(request);
    // A promise of our own: the `then` of another may throw.
    const ran = Promise.resolve(value);
    const run = limits === undefined ? ran : withinLimits(request, limits, began, ran);
    return run.then(succeeded, (error: unknown) => endedBy(request, error));
  } catch (error) {
    return endedBy(request, error);
  }
}

/** What was thrown: a wish of the task's, an error by whose kind it is retried, or its failure. */
function endedBy(request: Request, thrown: unknown): Outcome {
  const { acksLate, env: { app }, message: { retries }, outcome, task: { rules } } = request;
  // It was told of already, and there is nobody left to retry it.
  if (isTimeout(outcome)) return outcome;
  const error = heededSoftLimit(request, thrown);
  try {
    const options = error instanceof Retry
      ? error.options
      // It goes back as it is, and uses up no retry.
      : isCutShort(request, error)
      ? undefined
      : autoretry(rules, error, retries, () => app.platform.random.next());
    if (options === undefined) return askedFor(error, acksLate) ?? failed(error);
    if (request.plan === undefined || request.plan.retry !== error) {
      request.plan = planRetry(request, options);
    }
    return retried(request.plan.retry);
  } catch (reason) {
    // The retries are used up, or asked for wrongly.
    return failed(reason);
  }
}

/** A task that returns a result returns what that result is known by (Celery: `prepare_value`). */
export function conclude(request: Request, outcome: Outcome): void {
  request.outcome = outcome.is === "success" && outcome.value instanceof AsyncResult
    ? succeeded(outcome.value.asTuple())
    : outcome;
}

/** A task that was terminated has not failed, whatever it threw; one that returned all the same has succeeded. */
export function judged(request: Request, outcome: Outcome): Outcome {
  const isTerminated = outcome.is !== "success" && request.aborted instanceof TaskRevokedError;
  return isTerminated ? revoked("terminated") : outcome;
}

/** Under the name that Python knows, so that a Python caller meets its own exception. */
function notImplemented(reason: string): CeleriacError {
  const error = new CeleriacError(
    "canvas-unsupported",
    `The task was not run: ${reason}, which celeriac cannot follow yet.`,
  );
  error.name = "NotImplementedError";
  return error;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
