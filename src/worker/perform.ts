/**
 * One task's way through the worker: a column of steps, each of which does one thing and leaves the rest to the next.
 *
 * @module
 */
import type { ResultRecord } from "../backend.ts";
import type { Settlement } from "../broker.ts";
import { CeleriacError } from "../errors.ts";
import type { Slot } from "../pool.ts";
import { AsyncResult } from "../result/async-result.ts";
import { concernsOthers, hasSuccessors, sendSuccessors, tellOthers } from "./follow.ts";
import { exceptionRepr, heeds, seconds, shown } from "./lines.ts";
import { failed, failureOf, type Outcome, succeeded } from "./outcome.ts";
import { recordOf } from "./record.ts";
import type { Request } from "./request.ts";
import { RunningTask } from "./running.ts";

const ACK: Settlement = { as: "ack" };
const REJECT: Settlement = { as: "reject" };

/**
 * Runs the task to its end. The slot is free as soon as the task has run, so that the next one need not wait for this one's result to be
 * stored. Never throws: whatever happens is its outcome, or one log line.
 */
export async function perform(request: Request, slot: Slot): Promise<void> {
  const { probe } = request.env;
  try {
    if (!request.acksLate && !await accept(request)) return free(request, slot);
    if (probe?.at("accepted", request)) await never();
    start(request, slot);
    if (probe?.at("started", request)) await never();
    conclude(request, await execute(request));
    if (probe?.at("ended", request)) await never();
    free(request, slot);
    if (leads(request)) await follow(request);
    if (probe?.at("followed", request)) await never();
    if (keeps(request)) await store(request);
    if (probe?.at("stored", request)) await never();
    count(request);
    if (spreads(request)) await tellOthers(request);
    if (probe?.at("beforeSettle", request)) await never();
    settle(request);
    if (probe?.at("afterSettle", request)) await never();
    report(request);
  } catch (error) {
    collapse(request, error);
  } finally {
    free(request, slot);
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
    const value = env.context.run(scope, () => task.invoke(running, message.args, message.kwargs));
    return isThenable(value) ? Promise.resolve(value).then(succeeded, failed) : succeeded(value);
  } catch (error) {
    return failed(error);
  }
}

/** A task that returns a result returns what that result is known by (Celery: `prepare_value`). */
function conclude(request: Request, outcome: Outcome): void {
  request.outcome = outcome.is === "success" && outcome.value instanceof AsyncResult
    ? succeeded(outcome.value.asTuple())
    : outcome;
}

/** Only the first call counts. */
function free(request: Request, slot: Slot): void {
  if (request.env.state.conclude(request)) slot[Symbol.dispose]();
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

function keeps({ ignoresResult, keepsErrors, outcome, env }: Request): boolean {
  return env.backend !== undefined && (outcome?.is === "success" ? !ignoresResult : keepsErrors);
}

async function store(request: Request): Promise<void> {
  await request.write(finalRecord(request));
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
  return recordOf(request, failureOf(outcome));
}

/** The place where a chord's part is counted, after the result and before the ack. No chord runs yet: `strategy` refuses them. */
function count(_request: Request): void {}

function spreads(request: Request): boolean {
  return request.outcome?.is === "failure" && concernsOthers(request);
}

/** Late ack. */
function settle(request: Request): void {
  const { env, outcome, task } = request;
  const acksFailure = task.acksOnFailureOrTimeout ?? env.settings.taskAcksOnFailureOrTimeout;
  void request.release(outcome?.is === "failure" && !acksFailure ? REJECT : ACK);
}

function report(request: Request): void {
  const { env: { clock, logger }, outcome } = request;
  if (outcome === undefined || !heeds(logger, outcome.is === "success" ? "info" : "error")) return;
  const ms = clock.elapsed() - request.began;
  const about = { ...request.about, runtime: ms / 1000 };
  if (outcome.is === "success") {
    logger.log("info", `Task ${request.label} succeeded in ${seconds(ms)}s: ${shown(outcome.value)}`, about);
  } else {
    const { error, exception, traceback } = outcome;
    const line = `Task ${request.label} raised unexpected: ${exceptionRepr(exception)}`;
    logger.log("error", line, { ...about, error, traceback });
  }
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
