/**
 * Late ack: what becomes of the message once all that concerns its task is done.
 *
 * @module
 */
import type { Settlement } from "../broker.ts";
import { pause } from "../lib/pause.ts";
import type { Env } from "./env.ts";
import { isTimeout } from "./limits.ts";
import { isPoison } from "./poison.ts";
import type { Request } from "./request.ts";
import { parkable } from "./strategy.ts";

const ACK: Settlement = { as: "ack" };
const REJECT: Settlement = { as: "reject" };
const REQUEUE: Settlement = { as: "requeue" };

/** Before a message goes back whose retry could not be sent: where the broker cannot keep it for a while, it would come again at once. */
export async function hesitate({ env, plan }: Request): Promise<void> {
  if (env.stopping.aborted || env.app.broker().features.park !== "none") return;
  const left = (plan?.eta ?? 0) - env.now();
  await pause(env.clock, Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, left)), env.stopping);
}

const SHORTEST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

/** Settles the message, unless it was acked early. */
export function settle(request: Request): void {
  request.env.successes.add(request);
  const how = settlementOf(request);
  const settling = request.release(how);
  // What goes back has come to no end.
  if (request.isCounted && how.as !== "requeue") {
    void settling.then((settled) => settled ? undefined : request.env.starts.forget(request));
  }
}

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
  const { env, outcome, plan, stored, task: { rules }, unsent } = request;
  if (unsent) return requeued(env, Math.max(plan?.eta ?? 0, env.now() + SHORTEST_PAUSE));
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
