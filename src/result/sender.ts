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
  /** @default 3 */
  readonly maxRetries?: number;
  /** @default 0 */
  readonly intervalStart?: Duration;
  /** @default 0.2 */
  readonly intervalStep?: Duration;
  /** @default 1 */
  readonly intervalMax?: Duration;
}

/** How a task is sent: Celery's `apply_async` options in camelCase. A number is seconds, a string carries its unit. */
export interface SendOptions {
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  readonly taskId?: string;
  readonly countdown?: Duration;
  /** A `Date`, or ISO text (naive is UTC). */
  readonly eta?: Date | string;
  /** Seconds from now, a string with its unit, or a `Date`. */
  readonly expires?: Duration | Date;
  readonly queue?: string;
  readonly exchange?: string;
  readonly routingKey?: string;
  readonly priority?: number;
  readonly serializer?: string;
  /** "gzip", or null for none. */
  readonly compression?: string | null;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly link?: AnySignature<unknown> | readonly AnySignature<unknown>[];
  readonly linkError?: AnySignature<unknown> | readonly AnySignature<unknown>[];
  readonly shadow?: string;
  readonly argsrepr?: string;
  readonly kwargsrepr?: string;
  readonly timeLimit?: Duration;
  readonly softTimeLimit?: Duration;
  /** Unsaid leaves the decision to the worker's task (the header is null then). */
  readonly ignoreResult?: boolean;
  readonly replyTo?: string;
  readonly rootId?: string;
  readonly parentId?: string | null;
  readonly groupId?: string;
  readonly groupIndex?: number;
  /** False: not listed among the children of the task that sends. @default true */
  readonly addToParent?: boolean;
  /** False: one try; true: refused publishes are repeated by the policy; "unknown": those of unknown outcome too. @default true */
  readonly retry?: boolean | "unknown";
  readonly retryPolicy?: RetryPolicy;
  /** What follows, already in wire form: for the worker's `follow`. */
  readonly chain?: readonly WireSignature[];
  /** The deadline of the publish. @default the setting `publishTimeout` */
  readonly timeout?: Duration;
  readonly signal?: AbortSignal;
}

/** What sends; implemented by the app. */
export interface Sender {
  send(name: string, options: SendOptions): Promise<AsyncResult<unknown>>;
}
