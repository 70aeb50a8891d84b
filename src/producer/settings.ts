/**
 * The settings of Celery that a plain sender has a use for: at the door in Celery's units, inside in ms.
 *
 * @module
 */
import type { ExchangeType } from "../broker.ts";
import type { Duration } from "../lib/duration.ts";
import type { RetryPolicy } from "../result/sender.ts";

/** A queue of `taskQueues`; what is unsaid is as Celery fills it in. */
export interface QueueOptions {
  /** Its exchange. @default the exchange of the default queue */
  readonly exchange?: string;
  /** Of an `exchange` that is named here. @default "direct" */
  readonly exchangeType?: ExchangeType;
  /** The key that binds it. @default the queue's name */
  readonly routingKey?: string;
  /** The broker's own arguments (`x-queue-type`, …); peers must declare equal ones. */
  readonly queueArguments?: Readonly<Record<string, unknown>>;
}

/** Where `taskRoutes` sends a task: each is used where the call does not say it itself. */
export interface RouteOptions {
  /** The queue's name. */
  readonly queue?: string;
  /** With `routingKey`: instead of the queue's own. */
  readonly exchange?: string;
  /** Of an `exchange` that is named here; fanout needs no key. @default "direct" */
  readonly exchangeType?: ExchangeType;
  /** With `exchange`: instead of the queue's own. */
  readonly routingKey?: string;
  /** 0 to 255. */
  readonly priority?: number;
  /** 2 or "persistent", 1 or "transient". @default what the queue says, else the setting `taskDefaultDeliveryMode` */
  readonly deliveryMode?: 1 | 2 | "transient" | "persistent";
}

/** The settings of a sender as a program writes them: a number of time is seconds, a string carries its unit. */
export interface SendingOptions {
  /** The queue of tasks that nothing else is said of. @default "celery" */
  readonly taskDefaultQueue?: string;
  /** The priority of tasks that say none. @default none (0 on the wire) */
  readonly taskDefaultPriority?: number | null;
  /** The queues that exist, by name. @default the default queue alone */
  readonly taskQueues?: Readonly<Record<string, QueueOptions>> | null;
  /** Where tasks go, by name or glob (`"video.*"`): a queue's name or more. Exact names win, then globs in their order. */
  readonly taskRoutes?: Readonly<Record<string, string | RouteOptions>> | null;
  /** Whether a publish is repeated that was refused, or had no connection. @default true */
  readonly taskPublishRetry?: boolean;
  /** How it is repeated. @default { maxRetries: 3, intervalStart: 0, intervalStep: 0.2, intervalMax: 1 } */
  readonly taskPublishRetryPolicy?: RetryPolicy;
  /** celeriac's own: the deadline of a publish whose call says none. @default 30 */
  readonly publishTimeout?: Duration;
}

/** How a refused publish is repeated, inside: ms. */
export interface PublishRetryPolicy {
  /** Infinity: until the deadline. */
  readonly maxRetries: number;
  /** ms before the first repeat. */
  readonly intervalStart: number;
  /** ms that each further repeat waits longer. */
  readonly intervalStep: number;
  /** ms that a repeat waits at most beyond the first. */
  readonly intervalMax: number;
}

/** How hard a sender tries where the call says nothing. */
export interface Effort {
  /** Whether a refused publish is repeated (`taskPublishRetry`). */
  readonly retry: boolean;
  /** In ms (`taskPublishRetryPolicy`). */
  readonly policy: PublishRetryPolicy;
  /** ms (`publishTimeout`). */
  readonly timeout: number;
}
