/**
 * What a harness promises to its test.
 *
 * @module
 */
import type { Celery } from "../../app/app.ts";
import type { Duration } from "../../lib/duration.ts";
import type { Task, TaskArgs, TaskFunction } from "../../producer/task.ts";
import type { AsyncResult } from "../../result/async-result.ts";
import type { RevokeOptions } from "../../worker/revoke.ts";
import type { StopOptions } from "../../worker/shutdown.ts";
import type { WorkerOptions } from "../../worker/worker.ts";
import type { CheckOptions, Report } from "../check.ts";
import type { Faults } from "../faults/faults.ts";
import type { Match } from "./match.ts";
import type { Outcome, Sightings } from "./outcome.ts";
import type { Enqueued } from "./sent.ts";

/** A worker of a harness. */
export interface HarnessWorker {
  /** Its name, which is its host's: "worker-1". */
  readonly name: string;
  /** Its node name, "celery@worker-1". */
  readonly hostname: string;
  /** The queues that it takes from. */
  readonly queues: readonly string[];
  /** Whether it runs. */
  readonly running: boolean;
  /** Stops it as SIGTERM does, unless it is told how: what runs ends, what has not begun goes back to its queue. */
  stop(options?: StopOptions): Promise<void>;
  /** Revokes tasks at this worker; see `Worker.revoke`. Gives the ids that were terminated. */
  revoke(ids: string | readonly string[], options?: RevokeOptions): Promise<readonly string[]>;
}

/** What `drain` did. */
export interface DrainReport {
  /** Tasks that ran. */
  readonly ran: number;
  /** Messages that still lie in queues, since no worker takes from them, by the queue's name. */
  readonly left: Readonly<Record<string, number>>;
}

/**
 * A test's own system: an app, its workers, a broker and a result store, all in this thread and in a time of its own. Made by
 * {@link createHarness}.
 *
 * **Time** stands still unless it is moved. What can happen at once happens by itself, while the test awaits something: a task that is sent
 * is delivered, run, stored, and its result read. What waits for a moment to come (an ETA, a countdown, a retry, a timeout) waits for
 * `advance`, `advanceTo`, `runUntilIdle` or `drain({ withScheduled: true })`; within `run` time moves as far as the callback needs it.
 * Wherever time moves, what is due on the way happens at its own instant.
 *
 * Only the app's own time is virtual: `Date` and `setTimeout` of a task's body are real. A task that waits for something real is waited
 * for, and time stands still meanwhile; after `patience` it is an error that names the task ("simulation-impatient"), unless the task has a
 * `timeLimit` or `softTimeLimit`: then time moves on, to that.
 */
export interface Harness extends AsyncDisposable {
  /** The app on the fake pair; whatever is sent by it goes to this harness. */
  readonly app: Celery;
  /** The time in it. */
  readonly now: Date;
  /** The line by which the same is seen again: seed and picks. */
  readonly replay: string;
  /** Starts one more worker, and resolves when it would get messages. @default the options of the first ones */
  worker(options?: WorkerOptions): Promise<HarnessWorker>;
  /** The workers that were started, those that have ended among them. */
  readonly workers: readonly HarnessWorker[];
  /**
   * All tasks that were enqueued, oldest first; those that the broker refused or could not route are none. Where none is found, and the
   * harness records nothing or has forgotten some (`record`), this throws "history-incomplete"; `refuteEnqueued`, `refuteSucceeded` of a
   * task and `check` do so too.
   */
  enqueued(): readonly Enqueued[];
  /** Those of a task, and like `match`. */
  enqueued<F extends TaskFunction>(
    task: Task<string, F>,
    match?: Match<TaskArgs<F>>,
  ): readonly Enqueued<TaskArgs<F>>[];
  /** Those of a name, and like `match`. */
  enqueued(task: string, match?: Match): readonly Enqueued[];
  /**
   * Throws `AssertionError` unless the task was enqueued, with what `match` says: what was enqueued, which is nearest, and what is different
   * about it. Gives the first that is as it should be.
   */
  assertEnqueued<F extends TaskFunction>(
    task: Task<string, F>,
    match?: Match<TaskArgs<F>>,
  ): Enqueued<TaskArgs<F>>;
  /** As above, by name. */
  assertEnqueued(task: string, match?: Match): Enqueued;
  /** Throws `AssertionError` where the task was enqueued with what `match` says. */
  refuteEnqueued<F extends TaskFunction>(task: Task<string, F>, match?: Match<TaskArgs<F>>): void;
  /** As above, by name. */
  refuteEnqueued(task: string, match?: Match): void;
  /** What became of a task: its state, its runs, how often it was delivered, and all that was seen of it. */
  outcome<R>(of: AsyncResult<R>): Promise<Outcome<R>>;
  /** As above, by the id of the call. */
  outcome(id: string): Promise<Outcome>;
  /**
   * What can be made to go wrong: links cut, workers killed at a named point, confirms lost, clocks set wrong. A node is "client", or a
   * worker's name. With `record: false` there is none to be struck ("fault-node").
   */
  readonly fault: Faults;
  /**
   * Judges what has happened. Throws `AssertionError` where a confirmed task was lost, one ran that nobody sent, one ran again for no reason
   * that is written down, or a rule did not hold; gives the report where all is well. To be asked when the work is over: what a worker still
   * holds counts as never settled.
   */
  check(options?: CheckOptions): Report;
  /** All that was seen to happen, in order, to client and workers. */
  readonly history: Sightings;
  /**
   * Throws `AssertionError` unless SUCCESS is stored of the call, or of one call of the task: what is stored instead, of each call. A text is
   * the id of a call.
   */
  assertSucceeded<F extends TaskFunction>(task: Task<string, F>): void;
  /** As above, of one call: by its result, by what was enqueued, or by its id. */
  assertSucceeded(call: string | { readonly id: string }): void;
  /** Throws `AssertionError` where SUCCESS is stored of the call, or of one call of the task. */
  refuteSucceeded<F extends TaskFunction>(task: Task<string, F>): void;
  /** As above, of one call. */
  refuteSucceeded(call: string | { readonly id: string }): void;
  /**
   * Runs the callback with this harness as the sender of all that it sends, and lets happen what it needs until its promise settles; time
   * moves where it waits for a result. Throws "harness-stuck" where it waits for what will never come, "simulation-impatient" where it waits
   * for something outside for longer than `patience`.
   */
  run<R>(callback: () => R | Promise<R>): Promise<R>;
  /**
   * Runs what is in the queues, and what that leads to; time stands still, or with `withScheduled` moves until nothing is left to be done.
   * Where no worker runs, one is started for it.
   */
  drain(options?: { readonly withScheduled?: boolean }): Promise<DrainReport>;
  /** Moves time on; a number is seconds. */
  advance(by: Duration): Promise<void>;
  /** Moves time to this instant: a `Date`, or ISO text. In the past it moves nothing. */
  advanceTo(instant: Date | string): Promise<void>;
  /** Moves time until nothing is left to be done: no task waits, in a queue or for its time. */
  runUntilIdle(): Promise<void>;
  /**
   * Stops the workers and ends the test. Throws `AssertionError` for what was left behind: sends that nobody awaited, deliveries that were
   * never settled, timers, tasks that still run. Where a failure was told before, it throws nothing more.
   */
  [Symbol.asyncDispose](): Promise<void>;
}
