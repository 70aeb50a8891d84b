/**
 * kombu's native delayed delivery at a worker's start (celery/worker/consumer/delayed_delivery.py): Python's clients of an app with a quorum
 * queue publish what has an ETA to it, which works where a worker has declared it and its way into the queue.
 *
 * @module
 */
import type { QueuePlan } from "../app/route.ts";
import type { Broker } from "../broker.ts";
import { ConnectionError } from "../errors.ts";
import { pause } from "../lib/pause.ts";
import { unlessAborted } from "./abort.ts";
import type { Env } from "./env.ts";
import { exceptionRepr } from "./lines.ts";
import { failed } from "./outcome.ts";

/** Celery's: so often is it tried again, ms apart. */
const RETRIES = 3;
const PAUSE = 1000;

/**
 * Declares it where a queue of the app, or of the `plans` that are consumed, is a quorum queue, and binds those that are consumed. A worker
 * that cannot goes on without. Resolves with false when `signal` was aborted first.
 */
export async function leadDelayed(
  env: Env,
  broker: Broker,
  plans: readonly QueuePlan[],
  signal: AbortSignal,
): Promise<boolean> {
  const all = [...env.app.defaultQueues().map((name) => env.app.queue(name)), ...plans];
  if (broker.declareDelays === undefined || !all.some(({ quorum }) => quorum)) return true;
  tellDirect(env, plans);
  const type = env.settings.brokerNativeDelayedDeliveryQueueType;
  const ways = plans.filter(isLed).map(({ name: queue, exchange, routingKey }) => ({
    queue,
    exchange,
    routingKey,
  }));
  for (let tries = 0; !signal.aborted; tries++) {
    try {
      return await unlessAborted(broker.declareDelays(ways, type, { signal }), signal);
    } catch (error) {
      const last = tries === RETRIES || !(error instanceof ConnectionError);
      tellUndeclared(env, error, last);
      if (last) return true;
    }
    await pause(env.clock, PAUSE, signal);
  }
  return false;
}

/** kombu leads into no direct exchange, since the digits of the delay stand before the key; and into no broadcast. */
function isLed({ exchangeType, broadcast }: QueuePlan): boolean {
  return exchangeType !== "direct" && !broadcast;
}

function tellDirect({ logger }: Env, plans: readonly QueuePlan[]): void {
  const direct = plans.filter(({ exchangeType, quorum }) => quorum && exchangeType === "direct");
  if (direct.length === 0) return;
  const names = direct.map(({ name }) => name).join(", ");
  logger.log(
    "warning",
    `Native delayed delivery leads into no direct exchange. Tasks with an ETA come to ${names} at once: ` +
      "this worker parks them, a Python worker is blocked by them.",
    { code: "delay-direct" },
  );
}

function tellUndeclared({ logger }: Env, error: unknown, last: boolean): void {
  const then = last ? "Python's clients cannot delay tasks by it" : "trying again";
  const line = `Native delayed delivery could not be declared, ${then}: ${
    exceptionRepr(failed(error).exception)
  }`;
  logger.log("warning", line, { code: "delay-undeclared", error });
}
