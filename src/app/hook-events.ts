/**
 * What hooks and middleware are told: Celery's signals, in camelCase, as typed events.
 *
 * @module
 */
import type { Message } from "../broker.ts";
import type { CallOptions } from "../result/sender.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { Running } from "./running.ts";

/** A task on its way to the broker. What is not readonly may be changed until `next()` is called, or in `beforeTaskPublish`. */
export interface Envelope {
  /** The id of the task. */
  readonly id: string;
  /** The name of the task. */
  readonly name: string;
  /** Arguments by position. */
  args: readonly unknown[];
  /** Arguments by name. */
  kwargs: Readonly<Record<string, unknown>>;
  /** The sender's own headers, which the task sees as `task.headers`; Celery's own names are refused when the message is packed. */
  headers: Record<string, unknown>;
  /** Where it goes; "" is AMQP's default exchange, and the routing key then a queue's name. */
  readonly exchange: string;
  /** By which key. */
  readonly routingKey: string;
  /** The options of the call. */
  readonly options: CallOptions;
}

/** News of a task in hand. */
export interface TaskEvent {
  /** The task, as its own function sees it. */
  readonly task: Running;
}

/** News of a task that has run. */
export interface TaskRunEvent extends TaskEvent {
  /** How long it ran, seconds. */
  readonly runtime: number;
}

/** A task has run, whatever came of it. */
export interface TaskPostrunEvent extends TaskRunEvent {
  /** The state that it ended in: "SUCCESS", "FAILURE", "RETRY", "REVOKED", "IGNORED", "REJECTED". */
  readonly state: string;
}

/** A task has returned. */
export interface TaskSuccessEvent extends TaskRunEvent {
  /** What it returned. */
  readonly result: unknown;
}

/** A task has failed. */
export interface TaskFailureEvent extends TaskRunEvent {
  /** What it threw. */
  readonly error: unknown;
}

/** A task will run again. */
export interface TaskRetryEvent extends TaskRunEvent {
  /** Why. */
  readonly reason: unknown;
}

/** A task will not run, or was ended. */
export interface TaskRevokedEvent extends TaskEvent {
  /** "expired": its time was over; "revoked": by id or stamp before it ran; "terminated": while it ran. */
  readonly reason: "expired" | "revoked" | "terminated";
}

/** A message names a task that is not registered here. */
export interface TaskUnknownEvent {
  /** The name in the message. */
  readonly name: string;
  /** The id in the message, where it has one. */
  readonly id: string | undefined;
  /** The message, as it came. */
  readonly message: Message;
  /** The queue that it came from. */
  readonly queue: string;
}

/** A message could not be read as a task, or may not. */
export interface TaskRejectedEvent {
  /** Why. */
  readonly error: unknown;
  /** The message, as it came. */
  readonly message: Message;
  /** The queue that it came from. */
  readonly queue: string;
}

/** News of a worker. */
export interface WorkerEvent {
  /** Its node name. */
  readonly hostname: string;
  /** The queues that it consumes. */
  readonly queues: readonly string[];
}

/** Every hook, with what it is told. The names are those of Celery's signals. */
export interface HookEvents {
  /** Before a task is packed and published; `args`, `kwargs` and `headers` may still be changed. */
  readonly beforeTaskPublish: Envelope;
  /** The broker has it. Not called for what could not be published. */
  readonly afterTaskPublish: Envelope;
  /** A worker has taken a task in; it may have to wait for a slot or its ETA. */
  readonly taskReceived: TaskEvent;
  /** The task runs next. */
  readonly taskPrerun: TaskEvent;
  /** It has run, its result is stored, and it is settled next. After `taskSuccess`, `taskFailure` or `taskRetry`. */
  readonly taskPostrun: TaskPostrunEvent;
  /** It has returned, and its result is stored. */
  readonly taskSuccess: TaskSuccessEvent;
  /** It has failed for good. */
  readonly taskFailure: TaskFailureEvent;
  /** It will be tried again. */
  readonly taskRetry: TaskRetryEvent;
  /** It will not run, or was ended. */
  readonly taskRevoked: TaskRevokedEvent;
  /** No task of that name is registered here. */
  readonly taskUnknown: TaskUnknownEvent;
  /** A message is no task that this worker can or may read. */
  readonly taskRejected: TaskRejectedEvent;
  /** A worker consumes all of its queues. */
  readonly workerReady: WorkerEvent;
  /** A worker begins to end: it takes no more, what runs goes on. */
  readonly workerShuttingDown: WorkerEvent;
  /** A worker has ended: nothing runs, everything is settled. */
  readonly workerShutdown: WorkerEvent;
}

/** The name of a hook. */
export type HookName = keyof HookEvents;

/** Hears of one kind of event. A promise is waited for only where `wait` says so; what it throws is logged as "hook-failed". */
export type Observer<K extends HookName = HookName> = (event: HookEvents[K]) => unknown;

/** How a hook is heard. */
export interface ObserverOptions {
  /** Only of tasks of this name (Celery: `sender`). @default of all */
  readonly task?: string;
  /**
   * True: what goes on waits for the promise: the publish for `beforeTaskPublish`, its caller for `afterTaskPublish`, the run for
   * `taskPrerun`, the settlement for `taskSuccess`, `taskFailure`, `taskRetry` and `taskPostrun`, the end of `worker.run()` for
   * `workerShutdown`. Nothing else waits, and no other hook can be waited for. @default false
   */
  readonly wait?: boolean;
}

/** Stands around work, as layers of an onion: the first one in use is the outermost. Each calls `next` once. */
export interface Middleware {
  /**
   * Around each publish of a task. What it throws fails the publish. `next()` resolves once the broker confirmed; where it rejects, the call
   * fails, whatever is returned here. Not calling it is an error, "middleware-no-next": a task is never dropped without a word.
   */
  publish?(envelope: Envelope, next: () => Promise<AsyncResult<unknown>>): unknown;
  /**
   * Around each run of a task. What it throws is what the task threw. `next()` gives what the task returned; what is returned here stands
   * in its place, unless that is undefined. Without a call of `next` the task does not run.
   */
  run?(task: Running, next: () => Promise<unknown>): unknown;
}
