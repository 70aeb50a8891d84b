/**
 * Calls with an ETA, by kombu's native delayed delivery: what Celery's own client does where a queue of the app is a quorum queue
 * (celery/app/base.py `send_task`). A Python worker on such a queue has a window that does not grow, and would be blocked by what it holds.
 *
 * @module
 */
import { toMs } from "../lib/duration.ts";
import { parseInstant } from "../protocol/instant.ts";
import { DELAY_ENTRY, delayKey, kombuPattern, topicMatches } from "../protocol/native-delay.ts";
import type { CallOptions } from "../result/sender.ts";
import type { AppCore } from "./core.ts";
import type { AppRoute, QueuePlan } from "./route.ts";

/** Finds that way for one app. */
export class Delayed {
  readonly #app: AppCore;
  #told = false;

  constructor(app: AppCore) {
    this.#app = app;
  }

  /**
   * The call's route, by the queues in which it waits. Undefined at once for one that goes straight to its queue; the route as it is where
   * nothing may be declared. `now` in ms since the epoch.
   */
  way(route: AppRoute, options: CallOptions, now: number): Promise<AppRoute> | undefined {
    if ((options.eta ?? options.countdown) === undefined || route.plan === undefined) return undefined;
    const { plan, to: { exchange, routingKey: key } } = route;
    if (exchange !== plan.exchange || plan.exchangeType === "direct" || plan.broadcast) return undefined;
    const { router, settings } = this.#app;
    const plans = router.defaultQueues.map((name) => router.queue(name));
    if (![plan, ...plans].some(({ quorum }) => quorum) || leadsAstray(key, plan, plans)) return undefined;
    const routingKey = delayKey(dueAt(options, now) - now, key);
    if (routingKey === undefined || this.#app.broker().declareDelays === undefined) return undefined;
    const { signal, timeout } = options;
    const deadline = now + (timeout === undefined ? settings.publishTimeout : toMs(timeout, "timeout"));
    return this.#declared(plan, { signal, deadline }).then((stands) =>
      stands ? { ...route, to: { exchange: DELAY_ENTRY, routingKey }, mustRoute: true } : route
    );
  }

  /** Whether a message would come out of it in this queue: without its ways out it would wait for ever. */
  async #declared(
    { name: queue, exchange, routingKey, entities }: QueuePlan,
    call: { readonly signal: AbortSignal | undefined; readonly deadline: number },
  ): Promise<boolean> {
    const broker = this.#app.broker();
    const type = this.#app.settings.brokerNativeDelayedDeliveryQueueType;
    try {
      // Not for good: any message may name a queue.
      await broker.publish([], { ...call, declare: entities });
      return await broker.declareDelays?.([{ queue, exchange, routingKey }], type, call) ?? false;
    } catch (error) {
      this.#tell(error);
      return false;
    }
  }

  #tell(error: unknown): void {
    if (this.#told) return;
    this.#told = true;
    const line =
      "Native delayed delivery could not be declared: tasks with an ETA go straight to their queues";
    this.#app.logger.log("warning", line, { code: "delay-undeclared", error });
  }
}

/** What waits for one queue comes to another one, too, where a Python worker has bound that by a key that ends alike. */
export function leadsAstray(
  key: string,
  own: Pick<QueuePlan, "name">,
  plans: readonly Pick<QueuePlan, "broadcast" | "exchangeType" | "name" | "routingKey">[],
): boolean {
  return plans.some(({ name, exchangeType, broadcast, routingKey }) =>
    name !== own.name && exchangeType !== "direct" && !broadcast &&
    topicMatches(kombuPattern(routingKey), `0.${key}`)
  );
}

/** NaN for a text that is no instant, which the message's own check refuses. */
function dueAt({ countdown, eta }: CallOptions, now: number): number {
  const wait = countdown === undefined ? 0 : toMs(countdown, "countdown");
  if (wait !== 0) return now + wait;
  return eta instanceof Date ? eta.getTime() : parseInstant(eta) ?? Number.NaN;
}
