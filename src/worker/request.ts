/**
 * A task in hand, from receipt to settlement: what the steps of its way (`perform.ts`) share.
 *
 * @module
 */
import type { SendScope, TaskDefinition } from "../app/inner.ts";
import type { ResultRecord } from "../backend.ts";
import type { Delivery, Settlement } from "../broker.ts";
import type { SoftTimeLimitExceeded, TimeLimitExceeded } from "../app/time-limits.ts";
import { type ConnectionError, TaskRevokedError, type WorkerShutdownError } from "../errors.ts";
import type { TaskRequest } from "../protocol/task.ts";
import type { ResultTuple } from "../result/tuple.ts";
import type { Env, Subject } from "./env.ts";
import type { KnownSuccess } from "./known.ts";
import { label } from "./lines.ts";
import type { Outcome } from "./outcome.ts";
import { recordOf } from "./record.ts";
import type { PlannedRetry } from "./retry.ts";

/** Why a run is asked to end early. */
export type AbortReason =
  | ConnectionError
  | SoftTimeLimitExceeded
  | TaskRevokedError
  | TimeLimitExceeded
  | WorkerShutdownError;

/** A task that this worker has taken on, from receipt to settlement. */
export class Request implements Subject {
  readonly env: Env;
  readonly delivery: Delivery;
  readonly message: TaskRequest;
  readonly task: TaskDefinition;
  /** The header wins over the task, the task over the setting (Celery 5.6.3). */
  readonly ignoresResult: boolean;
  readonly acksLate: boolean;
  /** Why it must not run, if it must not. */
  readonly refusal: string | undefined;
  /** The tasks that it sent, as they are stored. */
  readonly children: ResultTuple[] = [];
  outcome: Outcome | undefined;
  /** The retry that it asked for last. */
  plan: PlannedRetry | undefined;
  /** It has succeeded before, and was not run again. */
  known: KnownSuccess | undefined;
  /** Its start is in the count of those that came to no end. */
  isCounted = false;
  /** How often it was delivered before, as far as that is counted; undefined before somebody asked. */
  earlier: number | undefined;
  /** The retry, or the copy beside the queue, could not be sent: the message goes back to its queue instead. */
  unsent = false;
  /** Why the run was asked to end early, if it was. */
  aborted: AbortReason | undefined;
  /** Its limits, while it runs: disposed of, they count no more. */
  limits: Disposable | undefined;
  /** Resolves when the code of a run has ended that the worker waits for no longer. */
  late: Promise<void> | undefined;
  /** Whether the task itself has asked for its signal: what it throws after an abort may then be its answer. */
  watched = false;
  /** The worker waits for it no longer: what it comes to is dropped. */
  abandoned = false;
  /** Whether the broker has its retry. */
  sent = false;
  /** Characters of its result as it is stored; undefined where it is not. */
  weight: number | undefined;
  /** False: its result could not be stored. */
  stored = true;
  /** When the run began, on the monotonic clock, ms. */
  began = 0;
  #settled = false;
  #written: Promise<unknown> | undefined;
  #abort: AbortController | undefined;
  #scope: SendScope | undefined;

  constructor(env: Env, delivery: Delivery, message: TaskRequest, task: TaskDefinition, refusal?: string) {
    this.env = env;
    this.delivery = delivery;
    this.message = message;
    this.task = task;
    this.refusal = refusal;
    this.ignoresResult = message.ignoreResult ?? task.ignoreResult ?? env.settings.taskIgnoreResult;
    this.acksLate = task.acksLate ?? env.settings.taskAcksLate;
  }

  /** `tasks.add[id]`; a `shadow` stands in for the name, as in Celery. */
  get label(): string {
    return label(this.message.shadow || this.task.name, this.message.id);
  }

  /** What a structured log tells with each line about this task. */
  get about(): { readonly taskId: string; readonly taskName: string } {
    return { taskId: this.message.id, taskName: this.task.name };
  }

  /** Aborted when the run is to end early; made only for a task that asks. */
  get signal(): AbortSignal {
    return (this.#abort ??= new AbortController()).signal;
  }

  /** Who sends inside the run. */
  get scope(): SendScope {
    return this.#scope ??= {
      app: this.env.app,
      taskId: this.message.id,
      rootId: this.message.rootId,
      priority: this.message.priority,
      note: (child) => void this.children.push(child.asTuple()),
    };
  }

  /** Whether a failure is stored. */
  get keepsErrors(): boolean {
    return !this.ignoresResult ||
      (this.task.storeErrorsEvenIfIgnored ?? this.env.settings.taskStoreErrorsEvenIfIgnored);
  }

  /** Whether its delivery is settled, as far as it is ours to do. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** Settles the delivery; only the first call counts. False: the broker gives it out again, which is told and not ours to change. */
  async release(how: Settlement): Promise<boolean> {
    if (this.#settled) return true;
    this.#settled = true;
    return await this.env.settle(this.delivery, how, this);
  }

  /** Has the broker keep the delivery until `until`, ms since the epoch. False: it refuses, and the delivery is still ours. */
  async park(until: number): Promise<boolean> {
    if (this.#settled) return true;
    this.#settled = true;
    const parked = await this.env.park(this.delivery, until, this);
    if (parked === "refused") this.#settled = false;
    return parked !== "refused";
  }

  /** Ends our part in a delivery whose link is lost: nothing is sent, and nothing is told. */
  forget(): void {
    if (this.#settled) return;
    this.#settled = true;
    void this.delivery.settle({ as: "requeue" });
  }

  /** Asks the run to end early, as far as its code heeds the signal. It hears of the first reason; that it was revoked counts more than that. */
  abort(reason: AbortReason): void {
    if (this.aborted === undefined || reason instanceof TaskRevokedError) this.aborted = reason;
    (this.#abort ??= new AbortController()).abort(reason);
  }

  /** What is written from now on waits for this. */
  behind(work: Promise<unknown>): void {
    const before = this.#written;
    this.#written = before === undefined ? work : Promise.all([before, work]);
  }

  /** A state of the task's own. Dropped once the run is over: it would hide how it ended. */
  async update(state: string, meta: unknown): Promise<void> {
    if (this.outcome !== undefined) return;
    await this.write(recordOf(this, { status: state, result: meta ?? null, traceback: null }));
  }

  /**
   * Writes after what was written before, so that a slow STARTED never lands on a result. Whether it is stored: where the backend is in
   * trouble, after `patience` ms at most.
   */
  write(record: ResultRecord, patience?: number): Promise<boolean> {
    const { env, message } = this;
    const before = this.#written;
    if (this.abandoned) return Promise.resolve(false);
    const write = (): Promise<boolean> => env.store(record, message.replyTo, this, patience);
    const written = before === undefined ? write() : env.during(before.then(write));
    this.#written = written;
    return written;
  }
}
