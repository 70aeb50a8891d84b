/**
 * One task's way through the worker: a column of steps, each of which does one thing and leaves the rest to the next.
 *
 * @module
 */
import { Retry } from "../app/predicates.ts";
import type { ResultRecord } from "../backend.ts";
import type { Settlement } from "../broker.ts";
import { CeleriacError, TaskRevokedError, WorkerShutdownError } from "../errors.ts";
import { pause } from "../lib/pause.ts";
import type { Slot } from "../pool.ts";
import { AsyncResult } from "../result/async-result.ts";
import { concernsOthers, hasSuccessors, sendSuccessors, tellOthers } from "./follow.ts";
import { exceptionRepr, heeds } from "./lines.ts";
import {
  askedFor,
  failed,
  failureOf,
  hasFailed,
  type Outcome,
  retried,
  retryOf,
  revoked,
  succeeded,
} from "./outcome.ts";
import { recordOf } from "./record.ts";
import type { Request } from "./request.ts";
import { isDoubtful, look, putAside } from "./look.ts";
import { autoretry, insistOnRetry, mayPass, planRetry, sendRetry, tellUnsent } from "./retry.ts";
import { isPoison } from "./poison.ts";
import { report } from "./report.ts";
import { RunningTask } from "./running.ts";
import { runWithin, tell, tellEnd } from "./tell.ts";

const ACK: Settlement = { as: "ack" };
const REJECT: Settlement = { as: "reject" };

/** How long a message stays unsettled that waits for its result to be stored, ms. */
const UNSTORED = 300_000;

/**
 * Runs the task to its end. The slot is free as soon as the task has run, so that the next one need not wait for this one's result to be
 * stored. Never throws: whatever happens is its outcome, or one log line.
 */
export async function perform(request: Request, slot: Slot): Promise<void> {
  const { probe } = request.env;
  try {
    if (!request.acksLate && !await accept(request)) return free(request, slot);
    if (probe?.at("accepted", request)) await never();
    let ran = false;
    if (!isDoubtful(request) || await mayRun(request)) {
      ran = true;
      start(request, slot);
      if (probe?.at("started", request)) await never();
      const before = tell(request, "taskPrerun");
      if (before !== undefined) await before;
      conclude(request, judged(request, await execute(request)));
      if (probe?.at("ended", request)) await never();
    }
    free(request, slot);
    if (givesUp(request)) return;
    if (comesAgain(request)) await retry(request);
    if (leads(request)) await follow(request);
    if (probe?.at("followed", request)) await never();
    if (isNews(request) && keeps(request)) await store(request);
    if (probe?.at("stored", request)) await never();
    count(request);
    if (spreads(request)) await tellOthers(request);
    const after = tellEnd(request, ran);
    if (after !== undefined) await after;
    if (probe?.at("beforeSettle", request)) await never();
    if (request.unsent) await hesitate(request);
    settle(request);
    if (probe?.at("afterSettle", request)) await never();
    report(request);
  } catch (error) {
    collapse(request, error);
  } finally {
    free(request, slot);
    request.suspicion?.[Symbol.dispose]();
    request.env.state.finish(request);
  }
}

/**
 * Early ack: from here on the task is ours alone, run or lost. It leaves before the task begins, which may block the thread or end the
 * process. False where the link went first: the broker gives it out again, and it runs then.
 */
function accept(request: Request): Promise<boolean> {
  return request.release(ACK);
}

/** False: it has its outcome without a run, or goes back. */
async function mayRun(request: Request): Promise<boolean> {
  const { env, delivery } = request;
  const found = await look(request);
  switch (found.do) {
    case "run":
      return true;
    case "skip":
      env.probe?.dismissed(delivery, "succeeded");
      request.known = found.known;
      conclude(request, succeeded(found.known.value));
      return false;
    case "bury":
      await putAside(request, found.deliveries);
      return false;
    case "giveBack":
      await request.release({ as: "requeue" });
      return false;
  }
}

/** Nobody waits for STARTED; the result does, if it must. */
function start(request: Request, slot: Slot): void {
  const { env, task, ignoresResult, refusal } = request;
  request.began = env.clock.elapsed();
  if (heeds(env.logger, "debug")) {
    env.logger.log("debug", `Task accepted: ${request.label} pid:${slot.pid}`, request.about);
  }
  if (!(task.trackStarted ?? env.settings.taskTrackStarted) || ignoresResult || refusal !== undefined) return;
  const result = { pid: slot.pid, hostname: env.hostname };
  void request.write(recordOf(request, { status: "STARTED", result, traceback: null }));
}

function execute(request: Request): Outcome | Promise<Outcome> {
  const { env, message, refusal, scope, task } = request;
  if (refusal !== undefined) return failed(notImplemented(refusal));
  try {
    const running = new RunningTask(request);
    const value = env.context.run(
      scope,
      () => runWithin(request, running, () => task.invoke(running, message.args, message.kwargs)),
    );
    if (!isThenable(value)) return succeeded(value);
    return Promise.resolve(value).then(succeeded, (error: unknown) => endedBy(request, error));
  } catch (error) {
    return endedBy(request, error);
  }
}

/** What was thrown: a wish of the task's, an error by whose kind it is retried, or its failure. */
function endedBy(request: Request, error: unknown): Outcome {
  const { acksLate, env: { app }, message: { retries }, task: { rules } } = request;
  try {
    const options = error instanceof Retry
      ? error.options
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
function conclude(request: Request, outcome: Outcome): void {
  request.outcome = outcome.is === "success" && outcome.value instanceof AsyncResult
    ? succeeded(outcome.value.asTuple())
    : outcome;
}

/** A task that was terminated has not failed, whatever it threw; one that returned all the same has succeeded. */
function judged(request: Request, outcome: Outcome): Outcome {
  const isTerminated = outcome.is !== "success" && request.aborted instanceof TaskRevokedError;
  return isTerminated ? revoked("terminated") : outcome;
}

/**
 * Under a cold shutdown: a late-acked task that was cut short goes back to its queue, and so has one that was abandoned. What they came to
 * is dropped. One that never looked at its signal has failed by itself.
 */
function givesUp(request: Request): boolean {
  if (request.abandoned) return true;
  if (!(request.aborted instanceof WorkerShutdownError) || !request.watched) return false;
  if (!request.acksLate || request.outcome?.is !== "failure") return false;
  void request.release({ as: "requeue" });
  return true;
}

/** Only the first call counts. */
function free(request: Request, slot: Slot): void {
  if (request.env.state.conclude(request) || request.abandoned) slot[Symbol.dispose]();
}

/** A retry goes out however the run ended, as in Celery; but not beside a message that goes back itself. */
function comesAgain({ plan, outcome }: Request): boolean {
  if (outcome?.is === "revoked") return false;
  return plan !== undefined && !(outcome?.is === "rejected" && outcome.requeue);
}

/** RETRY is stored first: the next run may be over before this one goes on, and its end must not be overwritten. */
async function retry(request: Request): Promise<void> {
  const { outcome, plan, acksLate, message } = request;
  if (plan === undefined) return;
  try {
    if (outcome?.is === "retry" && keeps(request)) {
      // As Celery has it: the next run is a child of this one.
      request.children.push([[message.id, null], null]);
      await store(request);
    }
    if (acksLate) await sendRetry(request, plan);
    else await insistOnRetry(request, plan);
  } catch (error) {
    if (!acksLate || !mayPass(error)) return conclude(request, failed(error));
    tellUnsent(request, error);
    request.unsent = true;
  }
}

function leads(request: Request): boolean {
  return request.outcome?.is === "success" && hasSuccessors(request);
}

/** Before the result is stored, so that its children are in it. What cannot be sent makes the task a failure, as in Celery. */
async function follow(request: Request): Promise<void> {
  if (request.outcome?.is !== "success") return;
  try {
    await sendSuccessors(request, request.outcome.value);
  } catch (error) {
    conclude(request, failed(error));
  }
}

/** RETRY was stored before the message went out, and a known success is there already. */
function isNews({ known, outcome }: Request): boolean {
  return known === undefined && outcome?.is !== "retry";
}

function keeps({ ignoresResult, keepsErrors, outcome, env }: Request): boolean {
  if (env.backend === undefined) return false;
  if (outcome?.is === "success") return !ignoresResult;
  return keepsErrors && (outcome?.is === "retry" || outcome?.is === "revoked" || hasFailed(outcome));
}

async function store(request: Request): Promise<void> {
  const stored = await request.write(finalRecord(request), patienceOf(request));
  // That it is retried is nothing to wait for: the next run has the last word.
  request.stored = stored || request.outcome?.is === "retry";
}

/** How long the task waits for its result to be stored, where the backend is in trouble, ms. */
function patienceOf({ acksLate, env: { settings }, outcome }: Request): number | undefined {
  if (outcome?.is === "retry") return undefined;
  if (acksLate && !settings.taskAcksOnStoreFailure) return UNSTORED;
  return settings.resultBackendAlwaysRetry ? Infinity : undefined;
}

function finalRecord(request: Request): ResultRecord {
  const { outcome } = request;
  if (outcome?.is === "success") {
    try {
      return recordOf(request, { status: "SUCCESS", result: outcome.value, traceback: null });
    } catch (error) {
      // EncodeError: the result has no JSON form.
      conclude(request, failed(error));
      return finalRecord(request);
    }
  }
  if (outcome?.is === "revoked") {
    return recordOf(request, { status: "REVOKED", result: outcome.exception, traceback: null });
  }
  return recordOf(request, outcome?.is === "retry" ? retryOf(outcome) : failureOf(outcome));
}

/** The place where a chord's part is counted, after the result and before the ack. No chord runs yet: `strategy` refuses them. */
function count(_request: Request): void {}

function spreads(request: Request): boolean {
  return hasFailed(request.outcome) && concernsOthers(request);
}

/** Before a message goes back whose retry could not be sent: where the broker cannot keep it for a while, it would come again at once. */
async function hesitate({ env, plan }: Request): Promise<void> {
  if (env.stopping.aborted || env.app.broker().features.park !== "none") return;
  const left = (plan?.eta ?? 0) - env.now();
  await pause(env.clock, Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, left)), env.stopping);
}

const SHORTEST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

/** Late ack. */
function settle(request: Request): void {
  request.env.successes.add(request);
  const settling = request.release(settlementOf(request));
  if (request.isCounted) {
    void settling.then((settled) => settled ? undefined : request.env.starts.forget(request));
  }
}

function settlementOf(request: Request): Settlement {
  const { env, outcome, plan, stored, task: { rules }, unsent } = request;
  if (unsent) return { as: "requeue", notBefore: Math.max(plan?.eta ?? 0, env.now() + SHORTEST_PAUSE) };
  if (!stored && request.acksLate && !env.settings.taskAcksOnStoreFailure) {
    return { as: "requeue", notBefore: env.now() + env.settings.resultBackendMaxSleepBetweenRetriesMs };
  }
  if (outcome?.is === "rejected") return outcome.requeue ? { as: "requeue" } : REJECT;
  // A copy of poison is kept already.
  if (outcome?.is !== "failure" || isPoison(outcome)) return ACK;
  const { taskAcksOnFailure, taskAcksOnFailureOrTimeout } = env.settings;
  return rules.acksOnFailure ?? taskAcksOnFailure ?? taskAcksOnFailureOrTimeout ? ACK : REJECT;
}

/** A fault of ours, not of the task: told, and the message is not given out again to meet it twice. */
function collapse(request: Request, error: unknown): void {
  const { exception, traceback } = failed(error);
  request.env.logger.log("critical", `Task ${request.label} INTERNAL ERROR: ${exceptionRepr(exception)}`, {
    ...request.about,
    error,
    traceback,
  });
  void request.release(ACK);
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

/** Where a probe let the worker die. */
function never(): Promise<never> {
  return new Promise(() => {});
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
