/**
 * A task as the program holds it: its name, and the ways to send it.
 *
 * @module
 */
import type { Signature } from "../canvas/signature.ts";
import type { Duration } from "../lib/duration.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { CallOptions } from "../result/sender.ts";
import type { StandardSchemaV1 } from "./standard-schema.ts";

/** Any function. */
export type TaskFunction = (...args: never) => unknown;

/** The arguments of a function. */
export type TaskArgs<F extends TaskFunction> = F extends (...args: infer A) => unknown ? A : never;

/** What a function gives, awaited. */
export type TaskResult<F extends TaskFunction> = F extends (...args: never) => infer R ? Awaited<R> : never;

/** All but the first: what a signature may hold when the task before it in a chain gives the first. */
export type Tail<A extends readonly unknown[]> = A extends readonly [unknown?, ...infer R] ? R : [];

/** As many names as parameters. */
export type Names<A extends readonly unknown[]> = { readonly [K in keyof A]: string };

/** `applyAsync` may leave out arguments that a task does not need. */
export type ApplyArgs<A extends readonly unknown[]> = [] extends A ? [args?: A, options?: CallOptions]
  : [args: A, options?: CallOptions];

/**
 * A task that can be sent. Each way of sending resolves once the broker confirmed, and throws `PublishError` ("publish-unroutable",
 * "publish-refused", "publish-unknown"), `EncodeError` for arguments without a JSON form, and `TaskArgumentError` before anything is sent
 * where the task's `params` are known and the arguments do not fit them (Celery: `typing`).
 */
export interface Task<N extends string = string, F extends TaskFunction = TaskFunction> {
  /** The name under which workers know it. */
  readonly name: N;
  /** Sends the task with these arguments (Celery: `delay`). */
  delay(...args: TaskArgs<F>): Promise<AsyncResult<TaskResult<F>>>;
  /** Sends the task with options (Celery: `apply_async`). */
  applyAsync(...call: ApplyArgs<TaskArgs<F>>): Promise<AsyncResult<TaskResult<F>>>;
  /** Sends the task with arguments by name. */
  applyAsync(
    args: readonly unknown[],
    options: CallOptions & { readonly kwargs: Readonly<Record<string, unknown>> },
  ): Promise<AsyncResult<TaskResult<F>>>;
  /** A call to be sent later; leading arguments may come from what precedes it (Celery: `s`). */
  s(): Signature<TaskArgs<F>, TaskResult<F>>;
  /** With all arguments. */
  s(...args: TaskArgs<F>): Signature<[], TaskResult<F>>;
  /** With all but the first, which is still to come. */
  s(...rest: Tail<TaskArgs<F>>): Signature<[TaskArgs<F>[0]], TaskResult<F>>;
  /** A call to be sent later that takes nothing from what precedes it (Celery: `si`). */
  si(...args: TaskArgs<F>): Signature<[], TaskResult<F>>;
  /** A call to be sent later, with options (Celery: `signature`). */
  signature(...call: ApplyArgs<TaskArgs<F>>): Signature<[], TaskResult<F>>;
}

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
  /** Ack late failures all the same. @default the setting `taskAcksOnFailureOrTimeout` */
  readonly acksOnFailureOrTimeout?: boolean;
  /** Store STARTED. @default the setting `taskTrackStarted` */
  readonly trackStarted?: boolean;
  /** How often it may be retried; null is for ever. @default 3 */
  readonly maxRetries?: number | null;
  /** How long a retry waits that names no time. @default 180 */
  readonly defaultRetryDelay?: Duration;
  /** At most so many starts in a second, minute or hour, on each worker. */
  readonly rateLimit?: `${number}/${"s" | "m" | "h"}`;
  /** The run is ended after this. */
  readonly timeLimit?: Duration;
  /** The run is told to end after this. */
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

/** Declaration-merged by generated code: `interface TaskRegistry { "proj.add"(x: number, y?: number): number }`. */
export interface TaskRegistry {}

/** The function behind a name of the {@link TaskRegistry}. */
export type Registered<N extends keyof TaskRegistry> = TaskRegistry[N] extends TaskFunction ? TaskRegistry[N]
  : never;

/** The tasks among a module's exports, by task name. */
export type TasksByName<M> = {
  [K in keyof M as M[K] extends Task<infer N, never> ? N : never]: M[K] extends Task<string, infer F> ? F
    : never;
};
