/**
 * What a task sees of its own run: `(task, …args)` with `bind`, `(input, task)` with `input` (Celery: `self` and `self.request`).
 *
 * @module
 */
import type { AsyncResult } from "../result/async-result.ts";
import type { LogLevel } from "../lib/logger.ts";
import type { SendOptions } from "../result/sender.ts";
import type { AnySignature } from "../canvas/signature.ts";
import type { Retry, RetryOptions } from "./predicates.ts";

/** Writes log lines that carry the task's name and id (Celery: `get_task_logger`). */
export type TaskLog = {
  readonly [L in LogLevel]: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

/** The running task, handed to its own function. */
export interface Running {
  /** The task's id. */
  readonly id: string;
  /** The task's name. */
  readonly name: string;
  /** The arguments by position, as they came. */
  readonly args: readonly unknown[];
  /** The arguments by name, as they came. */
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** How often this task was retried before this run. */
  readonly retries: number;
  /** The id of the first task, from which this one came. */
  readonly rootId: string;
  /** The id of the task that sent this one, or null. */
  readonly parentId: string | null;
  /** The id of the group that it is a part of, or null. */
  readonly groupId: string | null;
  /** The worker's node name. */
  readonly hostname: string;
  /** The headers that the sender added. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** How it came: the way, the priority, and whether it was delivered before. */
  readonly delivery: {
    readonly exchange: string;
    readonly routingKey: string;
    readonly queue: string;
    readonly priority: number;
    readonly redelivered: boolean;
  };
  /** Aborted when the run is to end early. */
  readonly signal: AbortSignal;
  /** Log lines with the task's name and id. */
  readonly log: TaskLog;
  /** Stores a state of the task's own (`PROGRESS`), with what `AsyncResult` shows as its result (Celery: `update_state`). */
  updateState(state: string, meta?: unknown): Promise<void>;
  /**
   * Ends this run and has the task run again later, under the same id (Celery: `self.retry`). It throws a `Retry`: a `catch` around it must
   * throw that again, and `throw task.retry(…)` says so to the reader. The message goes back to the queue that this one came from, with one
   * retry more and all that followed this one, once this run has ended. Throws `options.error`, or `MaxRetriesExceededError`, where the
   * retries are used up; `ConfigurationError` "option-unknown", "option-invalid", "duration-invalid".
   */
  retry(options: RetryOptions & { readonly throw: false }): Retry;
  /** Ends this run: never returns. */
  retry(options?: RetryOptions): never;
  /** Sends as a child of this task, also where the runtime has no async context. */
  send<T = unknown>(task: string | AnySignature<T>, options?: SendOptions): Promise<AsyncResult<T>>;
}
