/**
 * The types of a task as its sender holds it: its name, its arguments, and what it gives.
 *
 * @module
 */
import type { Signature } from "../canvas/signature.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { CallOptions } from "../result/sender.ts";

/** Any function. */
export type TaskFunction = (...args: never) => unknown;

/** The arguments of a function. */
export type TaskArgs<F extends TaskFunction> = F extends (...args: infer A) => unknown ? A : never;

/** What a function gives, awaited. */
export type TaskResult<F extends TaskFunction> = F extends (...args: never) => infer R ? Awaited<R> : never;

/** All but the first: what a signature may hold when the task before it in a chain gives the first. */
export type Tail<A extends readonly unknown[]> = A extends readonly [unknown?, ...infer R] ? R : [];

/** `applyAsync` may leave out arguments that a task does not need. */
export type ApplyArgs<A extends readonly unknown[], O = CallOptions> = [] extends A ? [args?: A, options?: O]
  : [args: A, options?: O];

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
