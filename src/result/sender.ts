/**
 * The one interface through which the rooms below the app send: canvas and result hold it, the app implements it.
 *
 * @module
 */
import type { Duration } from "../lib/duration.ts";
import type { WireSignature } from "../protocol/signature.ts";
import type { AnySignature } from "../canvas/signature.ts";
import type { AsyncResult } from "./async-result.ts";

/** Celery's `task_publish_retry_policy`, in camelCase; a number is seconds. */
export interface RetryPolicy {
  /** Repeats at most. @default 3 */
  readonly maxRetries?: number;
  /** Before the first repeat. @default 0 */
  readonly intervalStart?: Duration;
  /** What each further repeat waits longer. @default 0.2 */
  readonly intervalStep?: Duration;
  /** What a repeat waits at most. @default 1 */
  readonly intervalMax?: Duration;
}

/** How a task is sent by name: its arguments, and Celery's `apply_async` options in camelCase. */
export interface SendOptions extends CallOptions {
  /** Arguments by position. */
  readonly args?: readonly unknown[];
}

/** How a task is sent: Celery's `apply_async` options in camelCase. A number is seconds, a string carries its unit. */
export interface CallOptions {
  /** Arguments by name. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** The id of this call. @default a fresh UUID */
  readonly taskId?: string;
  /** Not before so long from now; wins over `eta`. */
  readonly countdown?: Duration;
  /** A `Date`, or ISO text (naive is UTC). */
  readonly eta?: Date | string;
  /** Seconds from now, a string with its unit, or a `Date`. */
  readonly expires?: Duration | Date;
  /** Where it goes. @default the task's own, else a route's, else the setting `taskDefaultQueue` */
  readonly queue?: string;
  /** With `routingKey`: instead of the queue's own. */
  readonly exchange?: string;
  /** With `exchange`: instead of the queue's own. */
  readonly routingKey?: string;
  /** 0 to 255; on RabbitMQ more is more urgent, on Redis less is. @default the setting `taskDefaultPriority` */
  readonly priority?: number;
  /** How arguments are written. @default the setting `taskSerializer` */
  readonly serializer?: string;
  /** "gzip", or null for none. */
  readonly compression?: string | null;
  /** Headers of the sender's own, which the task sees. */
  readonly headers?: Readonly<Record<string, unknown>>;
  /** Sent with the result when the task has succeeded. */
  readonly link?: AnySignature<unknown> | readonly AnySignature<unknown>[];
  /** Sent with the task's id when the task has failed. */
  readonly linkError?: AnySignature<unknown> | readonly AnySignature<unknown>[];
  /** The name that logs and events show. */
  readonly shadow?: string;
  /** The text of the arguments that logs and events show. */
  readonly argsrepr?: string;
  /** The text of the named arguments that logs and events show. */
  readonly kwargsrepr?: string;
  /** The run is ended after this. */
  readonly timeLimit?: Duration;
  /** The run is told to end after this. */
  readonly softTimeLimit?: Duration;
  /** Unsaid leaves the decision to the worker's task (the header is null then). */
  readonly ignoreResult?: boolean;
  /** The queue of rpc results. */
  readonly replyTo?: string;
  /** The first task of all. @default the root of the task that sends, else the task's own id */
  readonly rootId?: string;
  /** The task that sends this one. @default the task that sends, else null */
  readonly parentId?: string | null;
  /** The group that it is a part of. */
  readonly groupId?: string;
  /** Its place in the group. */
  readonly groupIndex?: number;
  /** False: not listed among the children of the task that sends. @default true */
  readonly addToParent?: boolean;
  /**
   * False: one try; true: a publish that was refused, or had no connection, is repeated by the policy; "unknown": one of unknown outcome too.
   *
   * @default true
   */
  readonly retry?: boolean | "unknown";
  /** How refused publishes are repeated. @default the setting `taskPublishRetryPolicy` */
  readonly retryPolicy?: RetryPolicy;
  /** What follows, already in wire form: for the worker's `follow`. */
  readonly chain?: readonly WireSignature[];
  /** The deadline of the publish. @default the setting `publishTimeout` */
  readonly timeout?: Duration;
  /** Gives up the wait for the broker; the message may be there all the same. */
  readonly signal?: AbortSignal;
}

/** What sends; implemented by the app. */
export interface Sender {
  /** Sends a task by name; resolves once the broker confirmed. */
  send(name: string, options: SendOptions): Promise<AsyncResult<unknown>>;
  /** A fresh task id. */
  newId(): string;
}
