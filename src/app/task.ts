/**
 * What a task's declaration may say.
 *
 * @module
 */
import type { Duration } from "../lib/duration.ts";
import type { RetryChanges, RetryOptions } from "./predicates.ts";
import type { StandardSchemaV1 } from "./standard-schema.ts";

/** As many names as parameters. */
export type Names<A extends readonly unknown[]> = { readonly [K in keyof A]: string };

/** An error by its class (subclasses too), or by its name: that of the error itself, or of what a task failed with elsewhere (`excType`). */
export type ErrorMatch = string | (abstract new (...args: never[]) => unknown);

/** What a task says of itself; all of it may be overruled by a call. A number of time is seconds, a string carries its unit. */
export interface TaskOptions {
  /** Where it goes. @default the setting `taskDefaultQueue` */
  readonly queue?: string;
  /** With `routingKey`: instead of the queue's own. */
  readonly exchange?: string;
  /** With `exchange`: instead of the queue's own. */
  readonly routingKey?: string;
  /** 0 to 255. @default the setting `taskDefaultPriority` */
  readonly priority?: number;
  /** How arguments are written. @default the setting `taskSerializer` */
  readonly serializer?: string;
  /** "gzip", or null for none. @default the setting `taskCompression` */
  readonly compression?: string | null;
  /** Not run when it is older than this. */
  readonly expires?: Duration;
  /** Drop the result. @default the setting `taskIgnoreResult` */
  readonly ignoreResult?: boolean;
  /** Store failures where the result is dropped. @default the setting `taskStoreErrorsEvenIfIgnored` */
  readonly storeErrorsEvenIfIgnored?: boolean;
  /** Ack when it has run, not before. @default the setting `taskAcksLate` */
  readonly acksLate?: boolean;
  /** Ack late failures and timeouts all the same. @default the setting `taskAcksOnFailureOrTimeout` */
  readonly acksOnFailureOrTimeout?: boolean;
  /** Ack late failures all the same; wins over `acksOnFailureOrTimeout`. @default the setting `taskAcksOnFailure` */
  readonly acksOnFailure?: boolean;
  /** Ack late all the same what ran into its `timeLimit`; else it goes back to its queue. Wins over `acksOnFailureOrTimeout`. @default the setting `taskAcksOnTimeout` */
  readonly acksOnTimeout?: boolean;
  /** Give a task back whose process died. Kept, and changes nothing yet: there is no pool of processes. @default the setting `taskRejectOnWorkerLost` */
  readonly rejectOnWorkerLost?: boolean;
  /** How often a task acked late may begin without coming to an end before it counts as poison; null is without limit. @default the setting `taskMaxDeliveries`, 3 */
  readonly maxDeliveries?: number | null;
  /** Store STARTED. @default the setting `taskTrackStarted` */
  readonly trackStarted?: boolean;
  /** How often it may be retried; null is for ever. @default 3 */
  readonly maxRetries?: number | null;
  /** How long a retry waits that names no time. @default 180 */
  readonly defaultRetryDelay?: Duration;
  /** Errors by which the task is retried without asking. Never `Retry`, `Ignore` or `Reject`. @default none */
  readonly autoretryFor?: readonly ErrorMatch[];
  /** Errors among those of `autoretryFor` by which it is not. @default none */
  readonly dontAutoretryFor?: readonly ErrorMatch[];
  /** How it is retried then; the backoff wins over a countdown. @default {} */
  readonly retryKwargs?: Pick<RetryOptions, "countdown" | "eta" | "maxRetries" | keyof RetryChanges>;
  /** Each such retry waits twice as long as the one before, from this on; true is 1 s. @default false: `defaultRetryDelay` */
  readonly retryBackoff?: boolean | Duration;
  /** What the backoff grows to. @default 600 */
  readonly retryBackoffMax?: Duration;
  /** Wait a random part of it, so that many tasks do not come back at once. @default true */
  readonly retryJitter?: boolean;
  /** Errors that belong to the task's business: stored as any failure, logged as INFO without a traceback. @default none */
  readonly throws?: readonly ErrorMatch[];
  /** At most so many starts in a second, minute or hour, on each worker. */
  readonly rateLimit?: `${number}/${"s" | "m" | "h"}`;
  /**
   * After this the worker waits for the run no longer: it has failed with `TimeLimitExceeded`, and what it comes to is dropped. Code goes on
   * that does not heed `task.signal`: nothing in one event loop can stop it. 0 is none. @default the setting `taskTimeLimit`
   */
  readonly timeLimit?: Duration;
  /** After this `task.signal` is aborted with `SoftTimeLimitExceeded`. 0 is none. @default the setting `taskSoftTimeLimit` */
  readonly softTimeLimit?: Duration;
}

/** Options of the form whose function takes the arguments alone: `(x, y) => …`. */
export interface PlainTaskOptions<A extends readonly unknown[]> extends TaskOptions {
  /** True: the function takes the running task first. @default false */
  readonly bind?: false;
  /** The names of the parameters, so that arguments may come by name: `["x", "y?", "*rest"]`. */
  readonly params?: Names<A>;
  /** Makes it the form with `input`. */
  readonly input?: never;
}

/** Options of the form whose function takes the running task first: `(task, x, y) => …`. */
export interface BoundTaskOptions<A extends readonly unknown[]> extends TaskOptions {
  /** True: the function takes the running task first. */
  readonly bind: true;
  /** The names of the parameters after the first: `["x", "y?", "*rest"]`. */
  readonly params?: Names<A>;
  /** Not with `bind`. */
  readonly input?: never;
}

/** Options of the form whose function takes one checked object: `(input, task) => …`. */
export interface InputTaskOptions<S extends StandardSchemaV1> extends TaskOptions {
  /** A schema of any library that speaks Standard Schema. */
  readonly input: S;
  /** Not with `input`, whose function gets the running task second. */
  readonly bind?: never;
  /** Names for arguments that come by position; without them one object comes by position, or its fields by name. */
  readonly params?: readonly string[];
}
