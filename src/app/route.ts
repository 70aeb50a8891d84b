/**
 * Where a task goes: Celery's router (celery/app/routes.py) and its rules of publishing (celery/app/amqp.py `send_task_message`).
 *
 * @module
 */
import type { Entity, ExchangeType } from "../broker.ts";
import { ConfigurationError } from "../errors.ts";
import { didYouMean } from "../lib/suggest.ts";
import { type Route, routeTo, rulesOf } from "../producer/route.ts";
import type { QueueOptions, RouteOptions } from "../producer/settings.ts";
import type { Settings } from "./settings.ts";

/** What a call says of its way; all of it may be absent. */
export type Way = RouteOptions;

/** Where one message goes, and how urgent it is. */
export interface AppRoute extends Route {
  readonly priority: number | undefined;
}

/** The queues and routes of one set of settings. Plans are made once a queue: one queue is one object. */
export class Router {
  readonly #settings: Settings;
  readonly #plans = new Map<string, QueuePlan>();
  readonly #rule: (task: string) => RouteOptions | undefined;
  /** The way of tasks that nothing is said of: almost all of them. */
  #common: AppRoute | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#rule = rulesOf(settings.taskRoutes ?? []);
  }

  /** The queues that a worker consumes when none are named. */
  get defaultQueues(): readonly string[] {
    return this.#settings.taskQueues === undefined
      ? [this.#settings.taskDefaultQueue]
      : [...this.#settings.taskQueues.keys()];
  }

  /** Where the task goes. Throws `ConfigurationError` "queue-unknown" as {@link Router.queue} does. */
  route(task: string, way: Way): AppRoute {
    const ruled = this.#settings.taskRoutes === undefined ? undefined : this.#rule(task);
    const { queue, exchange, routingKey, priority } = ruled === undefined ? way : over(way, ruled);
    if (queue === undefined && exchange === undefined && routingKey === undefined && priority === undefined) {
      return this.#common ??= this.#way(undefined, undefined, undefined, undefined);
    }
    return this.#way(queue, exchange, routingKey, priority);
  }

  /** The queue's plan. Throws "queue-unknown" for a queue outside of `task_queues` where `task_create_missing_queues` is off. */
  queue(name: string): QueuePlan {
    let plan = this.#plans.get(name);
    if (plan === undefined) this.#plans.set(name, plan = this.#plan(name));
    return plan;
  }

  #way(
    queue: string | undefined,
    exchange: string | undefined,
    routingKey: string | undefined,
    priority: number | undefined,
  ): AppRoute {
    if (queue === undefined && exchange !== undefined && routingKey !== undefined) {
      const mustRoute = this.#typeOf(exchange) !== "fanout";
      return { to: { exchange, routingKey }, mustRoute, entities: NOTHING, priority };
    }
    const plan = this.queue(queue ?? this.#settings.taskDefaultQueue);
    const { mustRoute, entities } = plan;
    const to = plan.exchangeType === "direct" && (exchange === undefined || routingKey === undefined)
      ? plan.to
      : { exchange: exchange ?? plan.exchange, routingKey: routingKey ?? plan.routingKey };
    return { to, mustRoute, entities, priority };
  }

  #typeOf(exchange: string): ExchangeType {
    const { taskDefaultExchange, taskDefaultExchangeType, taskQueues } = this.#settings;
    if (exchange === taskDefaultExchange) return taskDefaultExchangeType;
    for (const options of taskQueues?.values() ?? []) {
      if (options.exchange === exchange) return options.exchangeType ?? "direct";
    }
    return "direct";
  }

  #plan(name: string): QueuePlan {
    const { taskQueues, taskDefaultQueue, taskDefaultQueueType, taskCreateMissingQueues } = this.#settings;
    const { taskDefaultExchange, taskDefaultExchangeType } = this.#settings;
    const known = taskQueues?.get(name);
    if (known !== undefined) return this.#known(name, known);
    if (taskQueues === undefined && name === taskDefaultQueue) {
      const { taskDefaultRoutingKey } = this.#settings;
      const table = this.#table(taskDefaultQueueType);
      return planOf(name, taskDefaultExchange, taskDefaultExchangeType, taskDefaultRoutingKey, table);
    }
    if (taskCreateMissingQueues) {
      const { taskCreateMissingQueueType, taskCreateMissingQueueExchangeType } = this.#settings;
      const table = this.#table(taskCreateMissingQueueType);
      return planOf(name, name, taskCreateMissingQueueExchangeType, name, table);
    }
    throw new ConfigurationError(
      "queue-unknown",
      `Queue ${JSON.stringify(name.slice(0, 80))} is missing from task_queues.`,
      {
        hint: didYouMean(name, this.defaultQueues) ??
          "Name it there, or set task_create_missing_queues to true.",
      },
    );
  }

  /** A queue of `task_queues`: without an exchange it hangs on the default one, its key is its name (measured on Celery 5.2.6). */
  #known(
    name: string,
    { exchange, exchangeType = "direct", routingKey = name, queueArguments }: QueueOptions,
  ): QueuePlan {
    const { taskDefaultExchange, taskDefaultExchangeType } = this.#settings;
    const table = this.#table("classic", queueArguments);
    return exchange === undefined
      ? planOf(name, taskDefaultExchange, taskDefaultExchangeType, routingKey, table)
      : planOf(name, exchange, exchangeType, routingKey, table);
  }

  /** The arguments of a queue, where it has any. */
  #table(
    type: "classic" | "quorum",
    more: QueueOptions["queueArguments"] = {},
  ): QueueOptions["queueArguments"] {
    const most = this.#settings.taskQueueMaxPriority;
    const table = {
      ...(most !== undefined && { "x-max-priority": most }),
      ...(type === "quorum" && { "x-queue-type": type }),
      ...more,
    };
    return Object.keys(table).length > 0 ? table : undefined;
  }
}

/** One list, as of one queue: nothing to declare. */
const NOTHING: readonly Entity[] = [];

/** What the call says, and where it says nothing, the rule. */
function over(way: Way, rule: RouteOptions): Way {
  const merged: Record<string, unknown> = { ...rule };
  for (const [key, value] of Object.entries(way)) if (value !== undefined) merged[key] = value;
  return merged;
}

/** Where a queue's messages come from and what to declare for it, as Celery would; and the way into it. */
export interface QueuePlan extends Route {
  /** The queue's name. */
  readonly name: string;
  /** What it is bound to. */
  readonly exchange: string;
  /** How that routes. */
  readonly exchangeType: ExchangeType;
  /** By which key it is bound. */
  readonly routingKey: string;
}

function planOf(...of: Parameters<typeof routeTo>): QueuePlan {
  const [name, exchange, exchangeType, routingKey] = of;
  return { name, exchange, exchangeType, routingKey, ...routeTo(...of) };
}
