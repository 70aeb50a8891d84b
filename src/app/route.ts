/**
 * Where a task goes: Celery's router (celery/app/routes.py) and its rules of publishing (celery/app/amqp.py `send_task_message`).
 *
 * @module
 */
import type { Entity, ExchangeType } from "../broker.ts";
import { ConfigurationError } from "../errors.ts";
import { Recent } from "../lib/recent.ts";
import { didYouMean } from "../lib/suggest.ts";
import type { Route } from "../producer/route.ts";
import type { RouteOptions } from "../producer/settings.ts";
import type { CallOptions } from "../result/sender.ts";
import { broadcastPlan, type Place, planOf, type QueuePlan } from "./queue-plan.ts";
import type { QueueSpec } from "./queues.ts";
import { answerOf, type RoutedTask } from "./rules.ts";
import type { Settings } from "./settings.ts";

export type { QueuePlan };

/** The call that is routed. */
export interface Routed {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly options: CallOptions;
}

/** Where one message goes, and how urgent it is. */
export interface AppRoute extends Route {
  readonly priority: number | undefined;
  /** Undefined: what the settings say. */
  readonly deliveryMode: 1 | 2 | undefined;
  /** The queue that is meant, where one is. */
  readonly plan: QueuePlan | undefined;
}

/** The queue of one worker alone: `worker1@host.dq2` (celery/utils/nodenames.py `worker_direct`). */
const DIRECT = /^(.+@.+)\.dq2$/;
const DIRECT_EXCHANGE = "C.dq2";

/** The queues and routes of one set of settings. Plans are made once a queue, and again for one that is forgotten. */
export class Router {
  readonly #settings: Settings;
  readonly #queues: ReadonlyMap<string, QueueSpec>;
  /** Any message may name a queue. Those of the app, and those that are consumed, are kept. */
  readonly #plans = new Recent<QueuePlan>();
  /** The way of tasks that nothing is said of: almost all of them. */
  #common: AppRoute | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#queues = settings.taskQueues ?? new Map<string, QueueSpec>();
  }

  /** The queues that a worker consumes when none are named. */
  get defaultQueues(): readonly string[] {
    return this.#queues.size === 0 ? [this.#settings.taskDefaultQueue] : [...this.#queues.keys()];
  }

  /**
   * Where the task goes. Throws `ConfigurationError` "queue-unknown" as {@link Router.queue} does, "route-invalid" for a rule that leads
   * nowhere, and what a function of `taskRoutes` throws. `task` is its declaration.
   */
  route(call: Routed, task?: RoutedTask): AppRoute {
    const ruled = this.#settings.taskRoutes === undefined ? undefined : this.#ruled(call, task);
    if (ruled !== undefined) return this.#way(call.name, over(ruled, call.options), true);
    const { queue, exchange, routingKey, priority } = call.options;
    return queue === undefined && exchange === undefined && routingKey === undefined && priority === undefined
      ? this.#common ??= this.#way(call.name, {}, false)
      : this.#way(call.name, call.options, false);
  }

  /** The queue's plan. Throws "queue-unknown" for a queue outside of `task_queues` where `task_create_missing_queues` is off. */
  queue(name: string): QueuePlan {
    const known = this.#plans.get(name);
    if (known !== undefined) return known;
    const plan = this.#plan(name);
    const isOwn = this.#queues.has(name) || name === this.#settings.taskDefaultQueue;
    this.#plans[isOwn ? "keep" : "set"](name, plan);
    return plan;
  }

  /** The queue as a worker takes from it: of a broadcast, one of its own with this id in its name. */
  intake(name: string, id: () => string): QueuePlan {
    const plan = this.queue(name);
    this.#plans.keep(name, plan);
    if (!plan.broadcast) return plan;
    const own = broadcastPlan(plan, `bcast.${id()}`, this.#queues.get(name) ?? {}, this.#table("classic"));
    // What goes back to it is declared already, and must not be made anew when it is gone.
    this.#plans.keep(own.name, { ...own, entities: [] });
    return own;
  }

  /** The first router that has an answer gives it; an empty one is as none, but no other is asked (celery/app/routes.py `Router.route`). */
  #ruled({ name, args, kwargs, options }: Routed, task: RoutedTask | undefined): RouteOptions | undefined {
    for (const rule of this.#settings.taskRoutes ?? []) {
      const answer = rule(name, args, kwargs, options, task);
      if (answer === undefined || answer === null) continue;
      const route = answerOf(answer, name) ?? {};
      // Celery looks it up even where the call names another.
      if (route.queue !== undefined) this.queue(route.queue);
      return Object.keys(route).length === 0 ? undefined : route;
    }
    return undefined;
  }

  /** `ruled`: a rule has spoken, and the default queue is no longer what is meant by silence. */
  #way(task: string, said: RouteOptions, ruled: boolean): AppRoute {
    const { exchange, routingKey, priority, deliveryMode } = said;
    const named = said.queue ??
      (ruled && exchange !== undefined ? undefined : this.#settings.taskDefaultQueue);
    const plan = named === undefined ? undefined : this.queue(named);
    // A fanout exchange that we know needs no key; Celery would send to the default queue instead.
    const toAll = exchange !== undefined && routingKey === "" && this.#typeOf(exchange) === "fanout";
    const type = plan?.broadcast === true || toAll
      ? "fanout"
      : said.exchangeType ?? plan?.exchangeType ?? "direct";
    const route = (to: Route["to"], mustRoute: boolean, entities: readonly Entity[]): AppRoute => ({
      to,
      mustRoute,
      entities,
      priority,
      deliveryMode: modeOf(deliveryMode) ?? plan?.deliveryMode,
      plan,
    });
    if (type === "direct" && (!exchange || !routingKey)) {
      if (plan === undefined) throw nowhere(task, exchange);
      return route({ exchange: "", routingKey: plan.name }, true, plan.entities);
    }
    if (exchange === undefined && plan !== undefined) {
      return route(
        { exchange: plan.exchange, routingKey: routingKey || plan.routingKey },
        plan.mustRoute,
        plan.entities,
      );
    }
    const to = { exchange: exchange ?? "", routingKey: routingKey ?? "" };
    const known = to.exchange === plan?.exchange ? plan.exchangeType : this.#typeOf(to.exchange);
    const mustRoute = (toAll ? "fanout" : said.exchangeType ?? known) !== "fanout";
    // Celery declares the default queue all the same, which nobody then needs.
    return route(to, mustRoute, said.queue === undefined ? [] : plan?.entities ?? []);
  }

  #typeOf(exchange: string): ExchangeType {
    const { taskDefaultExchange, taskDefaultExchangeType } = this.#settings;
    if (exchange === taskDefaultExchange) return taskDefaultExchangeType;
    for (const [name, options] of this.#queues) {
      if (exchange === (options.exchange || (options.broadcast === true ? name : ""))) {
        return options.broadcast === true ? "fanout" : options.exchangeType ?? "direct";
      }
      const bound = options.bindings?.find((binding) => binding.exchange === exchange);
      if (bound !== undefined) return bound.exchangeType ?? "direct";
    }
    return "direct";
  }

  #plan(name: string): QueuePlan {
    const { taskDefaultQueue, taskDefaultQueueType, taskCreateMissingQueues } = this.#settings;
    const known = this.#queues.get(name);
    if (known !== undefined) return planOf(name, this.#place(name, known), known, this.#table("classic"));
    if (this.#queues.size === 0 && name === taskDefaultQueue) {
      return planOf(name, this.#place(name, {}), {}, this.#table(taskDefaultQueueType));
    }
    const node = DIRECT.exec(name)?.[1];
    if (node !== undefined) {
      const place = {
        own: true,
        exchange: DIRECT_EXCHANGE,
        exchangeType: "direct",
        routingKey: node,
      } as const;
      return planOf(name, place, {}, this.#table("classic"));
    }
    if (taskCreateMissingQueues) {
      const { taskCreateMissingQueueType, taskCreateMissingQueueExchangeType: exchangeType } = this.#settings;
      const place = { own: true, exchange: name, exchangeType, routingKey: name };
      return planOf(name, place, {}, this.#table(taskCreateMissingQueueType));
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

  /** Without an exchange of its own a queue hangs on the default one, and so it does with bindings (kombu's `Queue` drops it then). */
  #place(name: string, { broadcast, exchange, exchangeType, routingKey, bindings = [] }: QueueSpec): Place {
    const { taskDefaultExchange, taskDefaultExchangeType, taskDefaultRoutingKey } = this.#settings;
    const key = routingKey || taskDefaultRoutingKey;
    if (broadcast === true) {
      return { own: true, exchange: exchange || name, exchangeType: "fanout", routingKey: key };
    }
    return exchange && bindings.length === 0
      ? { own: true, exchange, exchangeType: exchangeType ?? "direct", routingKey: key }
      : { own: false, exchange: taskDefaultExchange, exchangeType: taskDefaultExchangeType, routingKey: key };
  }

  /** The arguments that the settings give each queue. */
  #table(type: "classic" | "quorum"): Readonly<Record<string, unknown>> {
    const most = this.#settings.taskQueueMaxPriority;
    return {
      ...(most !== undefined && { "x-max-priority": most }),
      ...(type === "quorum" && { "x-queue-type": type }),
    };
  }
}

/** What the call says, and where it says nothing, the rule. */
function over(rule: RouteOptions, said: CallOptions): RouteOptions {
  const merged: Record<string, unknown> = { ...rule };
  for (const name of ["queue", "exchange", "routingKey", "priority"] as const) {
    if (said[name] !== undefined) merged[name] = said[name];
  }
  return merged;
}

function modeOf(mode: RouteOptions["deliveryMode"]): 1 | 2 | undefined {
  return mode === "persistent" ? 2 : mode === "transient" ? 1 : mode;
}

/** Celery would publish it to the default exchange by no key: to nowhere, without a word. */
function nowhere(task: string, exchange: string | undefined): ConfigurationError {
  return new ConfigurationError(
    "route-invalid",
    `The route of ${JSON.stringify(task.slice(0, 80))} names the exchange ${
      JSON.stringify(exchange)
    }, but no queue and no routing key.`,
    { hint: 'Give it a routingKey, or exchangeType: "fanout".' },
  );
}
