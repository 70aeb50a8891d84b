/**
 * What a producer and its calls may be told.
 *
 * @module
 */
import type { PublishBroker } from "../broker.ts";
import type { SenderPlatform } from "../lib/port.ts";
import type { CallOptions } from "../result/sender.ts";
import type { TaskPublishRetryPolicy, TaskQueues, TaskRoutes } from "./routes.ts";
import type { SendingOptions } from "./settings.ts";

/**
 * The options of a `Producer`: its broker, and the settings of Celery that a plain sender has a use for. What takes more code is made by a
 * function of its own (`routes`, `queues`, `retryPolicy`), so that a bundle holds what it uses.
 */
export interface ProducerOptions
  extends
    Pick<SendingOptions, "publishTimeout" | "taskDefaultPriority" | "taskDefaultQueue" | "taskPublishRetry"> {
  /** The sending half of a broker. There is no default, and a URL is not enough: an adapter is given. */
  readonly broker: PublishBroker;
  /** The queues that are not as Celery makes them by itself: `queues({ … })`. */
  readonly taskQueues?: TaskQueues;
  /** Where tasks go, by name or glob: `routes({ "video.*": "video" })`. */
  readonly taskRoutes?: TaskRoutes;
  /** How a refused publish is repeated: `retryPolicy({ maxRetries: 5 })`. @default Celery's: three times within 0.6 s */
  readonly taskPublishRetryPolicy?: TaskPublishRetryPolicy;
  /** Clock, ids and host facts. @default the real ones */
  readonly platform?: SenderPlatform;
}

/** How a producer sends a task: Celery's `apply_async` options in camelCase, without those that need all of `Celery`. */
export interface ProducerCallOptions extends PlainCallOptions {
  /** Not before this instant. */
  readonly eta?: Date;
}

/** Those that are as everywhere. */
export type PlainCallOptions = Omit<
  CallOptions,
  | "addToParent"
  | "chain"
  | "compression"
  | "eta"
  | "exchange"
  | "groupId"
  | "groupIndex"
  | "link"
  | "linkError"
  | "retryPolicy"
  | "routingKey"
  | "serializer"
>;

/** How a producer sends a task by name: its arguments and its options. */
export interface ProducerSendOptions extends ProducerCallOptions {
  /** Arguments by position. */
  readonly args?: readonly unknown[];
}
