/**
 * What a task throws to say how it ends (celery/exceptions.py: `TaskPredicate`), and the error of a retry too many.
 *
 * @module
 */
import { CeleriacError } from "../errors.ts";
import type { Duration } from "../lib/duration.ts";
import type { CallOptions } from "../result/sender.ts";

/** Celery's own exceptions are stored under its module, so that a Python caller meets the class that it knows. */
const MODULE = "celery.exceptions";

/** What a retry changes in the message: `apply_async` options. What is not named goes on as it came. */
export type RetryChanges = Pick<
  CallOptions,
  | "argsrepr"
  | "compression"
  | "exchange"
  | "expires"
  | "headers"
  | "kwargsrepr"
  | "priority"
  | "queue"
  | "routingKey"
  | "serializer"
  | "shadow"
  | "softTimeLimit"
  | "timeLimit"
>;

/** How a task is retried (Celery: `Task.retry`). A number of time is seconds, a string carries its unit. */
export interface RetryOptions extends RetryChanges {
  /** Not before so long from now; 0 is at once. @default the task's `defaultRetryDelay`, 180 */
  readonly countdown?: Duration;
  /** Not before this instant; a `Date` or ISO text (naive is UTC). Wins over `countdown`, as in Celery. */
  readonly eta?: Date | string;
  /** Why: stored with the state RETRY, and thrown where the retries are used up (Celery: `exc`). */
  readonly error?: unknown;
  /** How often in all; null is for ever. @default the task's `maxRetries`, 3 */
  readonly maxRetries?: number | null;
  /** Other arguments by position. @default those of this run */
  readonly args?: readonly unknown[];
  /** Other arguments by name. @default those of this run */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** False: the `Retry` is returned, not thrown; the message is sent once this run has ended, however it ends. @default true */
  readonly throw?: boolean;
}

/**
 * The task is to be run again later: what `task.retry()` throws. A `catch` that meets it must throw it again. Thrown by hand
 * (`throw new Retry({ countdown: 5 })`) it does the same as `task.retry()`.
 */
export class Retry extends CeleriacError {
  /** The name of the class. */
  override name = "Retry";
  /** How. */
  readonly options: RetryOptions;

  /** `text` is what the log shows. */
  constructor(options: RetryOptions = {}, text: string = "Task can be retried") {
    super("task-retry", text, options.error === undefined ? {} : { cause: options.error });
    this.options = options;
  }
}

/** The task's end is nobody's business: its message is acked and its state stays as it is. */
export class Ignore extends CeleriacError {
  /** The name of the class. */
  override name = "Ignore";

  /** `reason` is for who reads the code. */
  constructor(reason: string = "The task is ignored.") {
    super("task-ignored", reason);
  }
}

/**
 * The message is rejected: dead-lettered where its queue says so, else gone, and FAILURE is stored; with `requeue` it goes back to its
 * queue and nothing is stored. Needs `acksLate`: under early ack the broker has forgotten the message when the task begins, so that it
 * fails in either case.
 */
export class Reject extends CeleriacError {
  /** The name of the class. */
  override name = "Reject";
  /** Why. */
  readonly reason: unknown;
  /** Whether it goes back to its queue. */
  readonly requeue: boolean;
  /** Celery's name for it. */
  readonly excType = "Reject";
  /** As Python's has them: the reason, and whether it goes back. */
  readonly excMessage: readonly unknown[];
  /** Celery's module. */
  readonly excModule: string = MODULE;

  /** Why, and with `requeue` back to its queue instead of away. */
  constructor(reason: unknown = null, options: { readonly requeue?: boolean } = {}) {
    const requeue = options.requeue === true;
    const text = reason instanceof Error ? `${reason.name}: ${reason.message}` : reason;
    super("task-rejected", `reject requeue=${requeue ? "True" : "False"}: ${String(text ?? "None")}`, {
      cause: reason instanceof Error ? reason : undefined,
    });
    this.reason = reason;
    this.requeue = requeue;
    this.excMessage = [text, requeue];
  }
}

/** The retries are used up, and no error was given (Celery's sentence). */
export class MaxRetriesExceededError extends CeleriacError {
  /** The name of the class. */
  override name = "MaxRetriesExceededError";
  /** Celery's name for it. */
  readonly excType = "MaxRetriesExceededError";
  /** The sentence. */
  readonly excMessage: readonly unknown[];
  /** Celery's module. */
  readonly excModule: string = MODULE;

  /** Takes the sentence. */
  constructor(message: string) {
    super("max-retries-exceeded", message);
    this.excMessage = [message];
  }
}
