/**
 * What a producer's routing settings are made with. Each is a function of its own, so that a bundle holds what it uses.
 *
 * @module
 */
import { checkNames } from "../lib/options.ts";
import type { RetryPolicy } from "../result/sender.ts";
import { demandText } from "../lib/demand.ts";
import { readPolicy } from "./retry.ts";
import { type Route, routeTo, rulesOf } from "./route.ts";
import type { PublishRetryPolicy, QueueOptions, RouteOptions } from "./settings.ts";

/** The value of the setting `taskQueues`, made by {@link queues}. */
export type TaskQueues = (queue: string, defaultExchange: string) => Route | undefined;

/** Where a route leads; each is used where the call does not say it itself. */
export type ProducerRoute = Pick<RouteOptions, "priority" | "queue">;

/** The value of the setting `taskRoutes`, made by {@link routes}. */
export type TaskRoutes = (task: string) => ProducerRoute | undefined;

/** The value of the setting `taskPublishRetryPolicy`, made by {@link retryPolicy}. */
export type TaskPublishRetryPolicy = () => PublishRetryPolicy;

/**
 * The queues that are not as Celery makes them by itself (Celery: `task_queues`), by name: `taskQueues: queues({ celery: { queueArguments:
 * { "x-queue-type": "quorum" } } })`. Peers must declare equal ones. Throws `ConfigurationError` "option-unknown", "option-invalid".
 */
export function queues(table: Readonly<Record<string, QueueOptions>>): TaskQueues {
  const known = new Map(Object.entries(table));
  for (const [name, options] of known) {
    checkNames(`Queue ${name}`, options, ["exchange", "exchangeType", "routingKey", "queueArguments"]);
  }
  return (name, defaultExchange) => {
    const options = known.get(name);
    if (options === undefined) return undefined;
    // Without an exchange it hangs on the default queue's, its key is its name (measured on Celery 5.2.6).
    const { exchange, exchangeType = "direct", routingKey = name, queueArguments } = options;
    return exchange === undefined
      ? routeTo(name, defaultExchange, "direct", routingKey, queueArguments)
      : routeTo(name, exchange, exchangeType, routingKey, queueArguments);
  };
}

/**
 * Where tasks go (Celery: `task_routes`), by name or glob, to a queue or to more: `taskRoutes: routes({ "video.*": "video", mail: { queue:
 * "mail", priority: 5 } })`. Exact names win, then globs in their order. Throws `ConfigurationError` "option-unknown", "option-invalid".
 */
export function routes(table: Readonly<Record<string, string | ProducerRoute>>): TaskRoutes {
  return rulesOf(
    Object.entries(table).map(([task, route]) => {
      const rule: ProducerRoute = typeof route === "string" ? { queue: route } : route;
      checkNames(`Route ${task}`, rule, ["queue", "priority"]);
      demandText(rule.queue, `The queue of ${task}`);
      return [task, rule];
    }),
  );
}

/**
 * How a refused publish is repeated (Celery: `task_publish_retry_policy`): `taskPublishRetryPolicy: retryPolicy({ maxRetries: 5 })`. A
 * number of time is seconds. Throws `ConfigurationError` "option-unknown", "option-invalid", "duration-invalid".
 */
export function retryPolicy(policy: RetryPolicy): TaskPublishRetryPolicy {
  const read = readPolicy(policy, "retryPolicy");
  return () => read;
}
