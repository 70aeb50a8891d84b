/**
 * What a task meets that runs for too long (billiard/exceptions.py), stored so that a Python caller meets the class that it knows.
 *
 * @module
 */
import { CeleriacError } from "../errors.ts";

/** Where Celery has them from. */
const MODULE = "billiard.exceptions";

/**
 * The soft time limit of the task is exceeded: the reason of `task.signal`. A task that throws it, or answers by an `AbortError`, has failed
 * with it; one that catches it may clean up and still return, or be retried.
 */
export class SoftTimeLimitExceeded extends CeleriacError {
  /** The name of the class, and Celery's for it. */
  override name = "SoftTimeLimitExceeded";
  /** Celery's name for it. */
  readonly excType = "SoftTimeLimitExceeded";
  /** Python's has no arguments. */
  readonly excMessage: readonly unknown[] = [];
  /** Celery's module. */
  readonly excModule: string = MODULE;

  /** The sentence is always the same. */
  constructor() {
    super("soft-time-limit", "The task runs for longer than its soft time limit, and is to end.");
  }
}

/** The time limit of the task is exceeded: the worker waits for it no longer, and it has failed, whatever it comes to. The reason of `task.signal`. */
export class TimeLimitExceeded extends CeleriacError {
  /** The name of the class, and Celery's for it. */
  override name = "TimeLimitExceeded";
  /** Celery's name for it. */
  readonly excType = "TimeLimitExceeded";
  /** As Python's: the limit in seconds. */
  readonly excMessage: readonly unknown[];
  /** Celery's module. */
  readonly excModule: string = MODULE;

  /** The limit in seconds. */
  constructor(seconds: number) {
    super("time-limit", `The task ran for longer than its time limit of ${seconds} s.`);
    this.excMessage = [seconds];
  }
}
