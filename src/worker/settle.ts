/**
 * Late ack: what becomes of the message once all that concerns its task is done.
 *
 * @module
 */
import type { Settlement } from "../broker.ts";
import { doze } from "./doze.ts";
import type { Env } from "./env.ts";
import { isTimeout } from "./limits.ts";
import { isPoison } from "./poison.ts";
import type { Request } from "./request.ts";
import { parkable } from "./strategy.ts";

const ACK: Settlement = { as: "ack" };
const REJECT: Settlement = { as: "reject" };
const REQUEUE: Settlement = { as: "requeue" };

/** Settles the message, unless it was acked early. A promise where that takes a while: what could not be sent is not tried again at once. */
export function settle(request: Request): Promise<void> | undefined {
  const { env, plan, unsent } = request;
  if (!unsent) return end(request, settlementOf(request));
  const notBefore = Math.max(plan?.eta ?? 0, env.now() + env.unsent.pause(request));
  return hesitate(request, notBefore).then(() => end(request, requeued(env, notBefore)));
}

function end(request: Request, how: Settlement): undefined {
  const { env, isCounted } = request;
  // What goes back to be run again is not to be taken for done.
  if (how.as !== "requeue") env.successes.add(request);
  const settling = request.release(how);
  // A message that goes back at once has come to no end; one that does so for want of the broker or the backend has.
  if (!isCounted || how === REQUEUE) return;
  void settling.then((settled) => settled && how.as !== "requeue" ? undefined : env.starts.forget(request));
}

/** Where the broker cannot keep the message for a while, it would come again at once. */
async function hesitate({ env }: Request, from: number): Promise<void> {
  if (env.stopping.aborted || env.app.broker().features.park !== "none") return;
  await doze(env.clock, Math.min(LONGEST_PAUSE, from - env.now()), env.stopping);
}

const LONGEST_PAUSE = 30_000;

/** Whether the message goes back by how the task ended. */
export function goesBack({ acksLate, env: { settings }, outcome, task: { rules } }: Request): boolean {
  if (outcome?.is === "rejected") return outcome.requeue;
  if (!acksLate || !isTimeout(outcome)) return false;
  return !(rules.acksOnTimeout ?? settings.taskAcksOnTimeout ?? settings.taskAcksOnFailureOrTimeout);
}

/** Not before `until`, or as late as the broker can: refused for its length, it would go round each second. */
function requeued(env: Env, until: number): Settlement {
  return { as: "requeue", notBefore: parkable(until, env.now(), env.app.broker().features.maxPark) };
}

/** celery/worker/request.py on main: the task's flag, else the setting, else the older one for failures and timeouts alike. */
function settlementOf(request: Request): Settlement {
  const { env, outcome, stored, task: { rules } } = request;
  if (!stored && request.acksLate && !env.settings.taskAcksOnStoreFailure) {
    return requeued(env, env.now() + env.settings.resultBackendMaxSleepBetweenRetriesMs);
  }
  if (goesBack(request)) return REQUEUE;
  if (outcome?.is === "rejected") return REJECT;
  // A copy of poison is kept already.
  if (outcome?.is !== "failure" || isPoison(outcome) || isTimeout(outcome)) return ACK;
  const { taskAcksOnFailure, taskAcksOnFailureOrTimeout } = env.settings;
  return rules.acksOnFailure ?? taskAcksOnFailure ?? taskAcksOnFailureOrTimeout ? ACK : REJECT;
}
