/**
 * One task's way through the worker: a column of steps, each of which does one thing and leaves the rest to the next.
 *
 * @module
 */
import type { Settlement } from "../broker.ts";
import type { Slot } from "../pool.ts";
import { cancelOnLoss } from "./cancel.ts";
import { collapse } from "./collapse.ts";
import { conclude, execute, judged } from "./execute.ts";
import { isCutShort } from "./cut-short.ts";
import { concernsOthers, hasSuccessors, sendSuccessors, tellOthers } from "./follow.ts";
import { isNews, keeps, store } from "./keep.ts";
import { isTimeout } from "./limits.ts";
import { heeds } from "./lines.ts";
import { isDoubtful, look, putAside } from "./look.ts";
import { failed, hasFailed, succeeded } from "./outcome.ts";
import { recordOf } from "./record.ts";
import { report } from "./report.ts";
import type { Request } from "./request.ts";
import { comesAgain, retry } from "./resend.ts";
import { settle } from "./settle.ts";
import { tell, tellEnd } from "./tell.ts";

const ACK: Settlement = { as: "ack" };

/**
 * Runs the task to its end. The slot is free as soon as the task has run, so that the next one need not wait for this one's result to be
 * stored. Never throws: whatever happens is its outcome, or one log line.
 */
export async function perform(request: Request, slot: Slot): Promise<void> {
  const { probe } = request.env;
  const watch = cancelOnLoss(request);
  let [ran, kept] = [false, false];
  try {
    if (!request.acksLate && !await accept(request)) return free(request, slot);
    if (probe?.at("accepted", request)) await never();
    if ((!isDoubtful(request) || await mayRun(request)) && !request.abandoned) {
      start(request, slot);
      if (probe?.at("started", request)) await never();
      const before = tell(request, "taskPrerun");
      if (before !== undefined) await before;
      // A hook may be waited for until the message is somebody else's.
      if (request.abandoned) return;
      ran = true;
      conclude(request, judged(request, await execute(request)));
      if (probe?.at("ended", request)) await never();
    }
    free(request, slot);
    if (givesUp(request)) return;
    if (comesAgain(request)) await retry(request);
    if (leads(request)) await follow(request);
    if (probe?.at("followed", request)) await never();
    if (isNews(request) && keeps(request)) await store(request);
    kept = true;
    if (probe?.at("stored", request)) await never();
    count(request);
    if (spreads(request)) await tellOthers(request);
    const after = tellEnd(request, ran);
    if (after !== undefined) await after;
    if (probe?.at("beforeSettle", request)) await never();
    const settling = settle(request);
    if (settling !== undefined) await settling;
    if (probe?.at("afterSettle", request)) await never();
    report(request);
  } catch (error) {
    free(request, slot);
    await collapse(request, error, kept);
  } finally {
    free(request, slot);
    watch?.[Symbol.dispose]();
    request.env.state.finish(request, ran);
    request.env.suspects.end(request);
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
    case "leave":
      request.forget();
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

/**
 * Under a cold shutdown: a late-acked task that was cut short goes back to its queue, and so has one that was abandoned. What they came to
 * is dropped.
 */
function givesUp(request: Request): boolean {
  if (request.abandoned) return true;
  const { outcome } = request;
  if (outcome?.is !== "failure" || !isCutShort(request, outcome.error) || isTimeout(outcome)) return false;
  void request.release({ as: "requeue" });
  return true;
}

/** Only the first call counts. */
function free(request: Request, slot: Slot): void {
  if (request.env.state.conclude(request) || request.abandoned) slot[Symbol.dispose]();
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

/** The place where a chord's part is counted, after the result and before the ack. No chord runs yet: `strategy` refuses them. */
function count(_request: Request): void {}

function spreads(request: Request): boolean {
  return hasFailed(request.outcome) && concernsOthers(request);
}

/** Where a probe let the worker die. */
function never(): Promise<never> {
  return new Promise(() => {});
}
