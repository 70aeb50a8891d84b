/**
 * Where a task goes: Celery's router (celery/app/routes.py) and its rules of publishing (celery/app/amqp.py `send_task_message`).
 *
 * @module
 */
import type { Destination, Entity, ExchangeType } from "../broker.ts";
import { ConfigurationError } from "../errors.ts";
import { didYouMean } from "../lib/suggest.ts";
import type { QueuePlan } from "./inner.ts";
import type { QueueOptions, RouteOptions, Settings } from "./settings.ts";

/** What a call says of its way; all of it may be absent. */
export type Way = RouteOptions;

/** Where one message goes, and what is declared before it. */
export interface Route {
  readonly to: Destination;
  /** Whether a queue must take it: not for fanout, where nobody need listen. */
  readonly mustRoute: boolean;
  /** The queue to declare first; undefined where the call names exchange and key itself. */
  readonly plan: QueuePlan | undefined;
  readonly priority: number | undefined;
}

/** The queues and routes of one set of settings. Plans are made once a queue. */
export class Router {
  readonly #settings: Settings;
  readonly #plans = new Map<string, QueuePlan>();
  readonly #globs: readonly (readonly [RegExp, RouteOptions])[];
  /** The way of tasks that nothing is said of: almost all of them. */
  #common: Route | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#globs = [...settings.taskRoutes ?? []].filter(([name]) => isGlob(name)).map((
      [name, route],
    ) => [glob(name), route]);
  }

  /** The queues that a worker consumes when none are named. */
  get defaultQueues(): readonly string[] {
    return this.#settings.taskQueues === undefined
      ? [this.#settings.taskDefaultQueue]
      : [...this.#settings.taskQueues.keys()];
  }

  /** Where the task goes. Throws `ConfigurationError` "queue-unknown" as {@link Router.queue} does. */
  route(task: string, way: Way): Route {
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

  #rule(task: string): RouteOptions | undefined {
    return this.#settings.taskRoutes?.get(task) ?? this.#globs.find(([pattern]) => pattern.test(task))?.[1];
  }

  #way(
    queue: string | undefined,
    exchange: string | undefined,
    routingKey: string | undefined,
    priority: number | undefined,
  ): Route {
    if (queue === undefined && exchange !== undefined && routingKey !== undefined) {
      const mustRoute = this.#typeOf(exchange) !== "fanout";
      return { to: { exchange, routingKey }, mustRoute, plan: undefined, priority };
    }
    const plan = this.queue(queue ?? this.#settings.taskDefaultQueue);
    if (plan.exchangeType === "direct" && (exchange === undefined || routingKey === undefined)) {
      return { to: { exchange: "", routingKey: plan.name }, mustRoute: true, plan, priority };
    }
    const to = { exchange: exchange ?? plan.exchange, routingKey: routingKey ?? plan.routingKey };
    return { to, mustRoute: plan.exchangeType !== "fanout", plan, priority };
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
    const known = taskQueues?.get(name);
    if (known !== undefined) return this.#known(name, known);
    if (taskQueues === undefined && name === taskDefaultQueue) {
      const queueArguments = taskDefaultQueueType === "quorum" ? { "x-queue-type": "quorum" } : {};
      const { taskDefaultExchange, taskDefaultExchangeType, taskDefaultRoutingKey } = this.#settings;
      return this.#make(
        name,
        taskDefaultExchange,
        taskDefaultExchangeType,
        taskDefaultRoutingKey,
        queueArguments,
      );
    }
    if (taskCreateMissingQueues) {
      const { taskCreateMissingQueueType, taskCreateMissingQueueExchangeType } = this.#settings;
      const queueArguments = taskCreateMissingQueueType === "quorum" ? { "x-queue-type": "quorum" } : {};
      return this.#make(name, name, taskCreateMissingQueueExchangeType, name, queueArguments);
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
    { exchange, exchangeType = "direct", routingKey = name, queueArguments = {} }: QueueOptions,
  ): QueuePlan {
    const { taskDefaultExchange, taskDefaultExchangeType } = this.#settings;
    return exchange === undefined
      ? this.#make(name, taskDefaultExchange, taskDefaultExchangeType, routingKey, queueArguments)
      : this.#make(name, exchange, exchangeType, routingKey, queueArguments);
  }

  #make(
    name: string,
    exchange: string,
    exchangeType: ExchangeType,
    routingKey: string,
    queueArguments: Readonly<Record<string, unknown>>,
  ): QueuePlan {
    const most = this.#settings.taskQueueMaxPriority;
    const given = { ...(most === undefined ? {} : { "x-max-priority": most }), ...queueArguments };
    const entities: readonly Entity[] = [
      { kind: "exchange", name: exchange, type: exchangeType, durable: true, autoDelete: false },
      {
        kind: "queue",
        name,
        durable: true,
        exclusive: false,
        autoDelete: false,
        ...(Object.keys(given).length === 0 ? {} : { arguments: given }),
      },
      { kind: "binding", queue: name, exchange, routingKey },
    ];
    return { name, exchange, exchangeType, routingKey, entities };
  }
}

/** What the call says, and where it says nothing, the rule. */
function over(way: Way, rule: RouteOptions): Way {
  const merged: Record<string, unknown> = { ...rule };
  for (const [key, value] of Object.entries(way)) if (value !== undefined) merged[key] = value;
  return merged;
}

/** A name without a star is no glob to Celery, whatever else it holds (celery/app/routes.py `MapRoute`). */
function isGlob(name: string): boolean {
  return name.includes("*");
}

/** `fnmatch` of Python: `*`, `?`, `[seq]`, `[!seq]`. */
function glob(pattern: string): RegExp {
  const source = pattern.replace(
    /\[(!?)([^\]]+)\]|[\s\S]/g,
    (all, not: string | undefined, set: string | undefined) => {
      if (all === "*") return "[\\s\\S]*";
      if (all === "?") return "[\\s\\S]";
      if (set !== undefined) return `[${not === "!" ? "^" : ""}${set.replace(/[\\\]^]/g, "\\$&")}]`;
      return all.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
    },
  );
  return new RegExp(`^${source}$`);
}
