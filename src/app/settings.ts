/**
 * Celery's settings that celeriac honours: at the door in Celery's units, inside in ms.
 *
 * @module
 */
import type { ExchangeType } from "../broker.ts";
import type { Duration } from "../lib/duration.ts";
import type { PublishRetryPolicy, SendingOptions } from "../producer/settings.ts";
import type { QueueSpec, TaskQueuesOption } from "./queues.ts";
import type { Rule, TaskRoutesOption } from "./rules.ts";

/** A module that declares tasks, loaded when a worker (or the CLI) needs them. */
export type IncludeLoader = () => Promise<unknown>;

/** The settings as a program writes them: a number of time is seconds, a string carries its unit. Names are Celery's in camelCase. */
export interface SettingsOptions extends Omit<SendingOptions, "taskQueues" | "taskRoutes"> {
  /** Content that workers take, by name or MIME type. @default ["json"] */
  readonly acceptContent?: readonly string[];
  /** The same for results. @default what `acceptContent` says */
  readonly resultAcceptContent?: readonly string[] | null;
  /** Without a `timezone`: UTC when true, the host's own when false. @default true */
  readonly enableUtc?: boolean;
  /** IANA name of the zone in which instants are written (`eta`, `expires`, `date_done`). @default "UTC" */
  readonly timezone?: string | null;
  /** Modules that declare tasks: functions that import them. */
  readonly include?: readonly IncludeLoader[];
  /** The same as `include`. */
  readonly imports?: readonly IncludeLoader[];
  /** The broker's URL, or several (an array, or one text with `;`) for failover. Needs `transports`. */
  readonly brokerUrl?: string | readonly string[] | null;
  /** Options of the broker's adapter. @default {} */
  readonly brokerTransportOptions?: Readonly<Record<string, unknown>>;
  /** How long one attempt to connect may take. @default 4 */
  readonly brokerConnectionTimeout?: Duration;
  /** Whether a lost link is opened again. @default true */
  readonly brokerConnectionRetry?: boolean;
  /** Whether a worker waits for a broker that is away at its start. @default what `brokerConnectionRetry` says */
  readonly brokerConnectionRetryOnStartup?: boolean | null;
  /** Attempts before giving up; null or 0 is for ever. @default 100 */
  readonly brokerConnectionMaxRetries?: number | null;
  /**
   * Whether a worker goes on when the broker closes its channel while the link stands (a message held beyond `consumer_timeout`, a
   * declaration that is refused); false ends it with that error, as Celery does by default. @default true
   */
  readonly brokerChannelErrorRetry?: boolean;
  /** Which of several URLs comes after one that failed: the next one, or any. @default "round-robin" */
  readonly brokerFailoverStrategy?: "round-robin" | "shuffle" | null;
  /** AMQP's heartbeat; null or 0 turns it off. @default 120 */
  readonly brokerHeartbeat?: Duration | null;
  /** The type of the queues of native delayed delivery: all who share a virtual host must agree. @default "quorum" */
  readonly brokerNativeDelayedDeliveryQueueType?: "classic" | "quorum";
  /** The result backend's URL. Needs `transports`. */
  readonly resultBackend?: string | null;
  /** Options of the backend's adapter (`global_keyprefix`, …). @default {} */
  readonly resultBackendTransportOptions?: Readonly<Record<string, unknown>>;
  /** How results are written. @default "json" */
  readonly resultSerializer?: string;
  /** How long a result is kept; null or 0 is for ever. @default 86400 */
  readonly resultExpires?: Duration | null;
  /** Whether results also tell name, arguments, worker, retries and queue. @default false */
  readonly resultExtended?: boolean;
  /** The queues that exist: by name, or an array of them. @default the default queue alone */
  readonly taskQueues?: TaskQueuesOption | null;
  /**
   * Where tasks go, by name, glob (`"video.*"`), pattern or function: a queue's name or more. Of several routers in an array, the first that
   * has an answer counts; within one, exact names win, then globs and patterns in their order.
   */
  readonly taskRoutes?: TaskRoutesOption | null;
  /** The type of the default queue on RabbitMQ. @default "classic" */
  readonly taskDefaultQueueType?: "classic" | "quorum";
  /** Its exchange. @default the name of the default queue */
  readonly taskDefaultExchange?: string | null;
  /** The type of its exchange. @default "direct" */
  readonly taskDefaultExchangeType?: ExchangeType;
  /** Its key. @default the name of the default queue */
  readonly taskDefaultRoutingKey?: string | null;
  /** 2 or "persistent", 1 or "transient". @default 2 */
  readonly taskDefaultDeliveryMode?: 1 | 2 | "transient" | "persistent";
  /** `x-max-priority` of every queue that we declare. @default none */
  readonly taskQueueMaxPriority?: number | null;
  /** Whether a queue that `taskQueues` does not name may be used all the same. @default true */
  readonly taskCreateMissingQueues?: boolean;
  /** The type of such a queue on RabbitMQ. @default "classic" */
  readonly taskCreateMissingQueueType?: "classic" | "quorum";
  /** The type of the exchange of such a queue. @default "direct" */
  readonly taskCreateMissingQueueExchangeType?: ExchangeType | null;
  /** Whether a task sent in a task has its priority. @default false */
  readonly taskInheritParentPriority?: boolean;
  /** How arguments are written. @default "json" */
  readonly taskSerializer?: string;
  /** "gzip", or null for none. @default null */
  readonly taskCompression?: string | null;
  /** The message protocol that is written: 2. Version 1 is only read. @default 2 */
  readonly taskProtocol?: 2;
  /** Whether results are dropped. @default false */
  readonly taskIgnoreResult?: boolean;
  /** Whether failures are stored where results are dropped. @default false */
  readonly taskStoreErrorsEvenIfIgnored?: boolean;
  /** Whether a worker stores STARTED. @default false */
  readonly taskTrackStarted?: boolean;
  /** Whether a task is acked after it ran, not before. @default false */
  readonly taskAcksLate?: boolean;
  /** Whether a late-acked task that failed is acked all the same. @default true */
  readonly taskAcksOnFailureOrTimeout?: boolean;
  /** The same for failures alone; null: what `taskAcksOnFailureOrTimeout` says. @default null */
  readonly taskAcksOnFailure?: boolean | null;
  /** The same for runs that exceed their time limit; null: what `taskAcksOnFailureOrTimeout` says. @default null */
  readonly taskAcksOnTimeout?: boolean | null;
  /** When a worker waits for a run no longer that has no `timeLimit` of its own; null and 0 are never. @default null */
  readonly taskTimeLimit?: Duration | null;
  /** When a worker asks such a run to end, by `task.signal`; null and 0 are never. @default null */
  readonly taskSoftTimeLimit?: Duration | null;
  /** How often a task acked late may begin without coming to an end before it counts as poison; null is without limit. celeriac's own. @default 3 */
  readonly taskMaxDeliveries?: number | null;
  /**
   * Whether a late-acked task that comes again, and whose SUCCESS is known, is not run again; what follows it is sent all the same. "always"
   * also asks of messages that did not come before (a publish that was doubled), which costs a read for each task.
   *
   * @default false
   */
  readonly workerDeduplicateSuccessfulTasks?: boolean | "always";
  /**
   * celeriac's own: whether a late-acked task whose result cannot be stored is acked all the same. False: its message stays unsettled while
   * the store is repeated, and goes back to its queue after five minutes, or after `resultBackendMaxRetries`. @default true
   */
  readonly taskAcksOnStoreFailure?: boolean;
  /** celeriac's own: how long a revoke is kept in the backend; longer than any message is parked. @default 2419200 (28 days) */
  readonly taskRevokeExpires?: Duration;
  /** Whether a task waits until its result is stored, where the backend cannot be reached. @default false */
  readonly resultBackendAlwaysRetry?: boolean;
  /** How often storing a result is repeated; null is for ever (until it would have expired). @default null */
  readonly resultBackendMaxRetries?: number | null;
  /** The first pause before a repeat, ms; each next one is up to twice as long. @default 10 */
  readonly resultBackendBaseSleepBetweenRetriesMs?: number;
  /** The longest pause, ms. @default 10000 */
  readonly resultBackendMaxSleepBetweenRetriesMs?: number;
  /** celeriac's own: how many results a worker keeps that could not be stored yet; the oldest goes first. @default 10000 */
  readonly resultSpoolMaxRecords?: number;
  /** celeriac's own: how many bytes of them, by the length of their text. @default 16777216 (16 MiB) */
  readonly resultSpoolMaxBytes?: number;
  /** How long a soft shutdown lets running tasks go on; 0 is none. @default 0 */
  readonly workerSoftShutdownTimeout?: Duration;
  /** Whether a soft shutdown is told of, and waits, with no task running; here nothing is left to wait for then. @default false */
  readonly workerEnableSoftShutdownOnIdle?: boolean;
  /**
   * celeriac's own: when a worker asks the backend whether a task is revoked. "returned": where the message was delivered before, has an ETA,
   * or was parked; "always": before each task, a round trip each; "never": what it heard itself counts alone. @default "returned"
   */
  readonly workerCheckRevoked?: "returned" | "always" | "never";
  /** Whether each worker also consumes a queue of its own, `<node name>.dq2`. @default false */
  readonly workerDirect?: boolean;
  /**
   * Whether a task acked late is asked to end, by its `task.signal`, where the link is lost that its message came by: the broker gives it out
   * again, and what this run comes to is dropped. @default false
   */
  readonly workerCancelLongRunningTasksOnConnectionLoss?: boolean;
  /** Tasks that a worker runs at a time. @default 10 (Celery: one a CPU; tasks here share an event loop) */
  readonly workerConcurrency?: number | null;
  /** Messages held for each slot; 0 is unlimited. @default 4 */
  readonly workerPrefetchMultiplier?: number;
  /**
   * How many tasks of one queue a worker holds until their ETA, at most half of the queue's window; the others are parked in the broker. Where
   * the broker cannot park it limits how far held tasks widen the window, as in Celery. @default null (no limit but the half)
   */
  readonly workerEtaTaskLimit?: number | null;
  /**
   * celeriac's own: a task that is due later than this is parked in the broker, one that is due sooner may be held by the worker. Keep it
   * below RabbitMQ's `consumer_timeout`. @default "5s"
   */
  readonly workerParkAfter?: Duration;
  /**
   * Celery's workers ask for no global QoS where a queue is a quorum queue, unless this is false. Ours never ask for it, and so nothing changes.
   *
   * @default true
   */
  readonly workerDetectQuorumQueues?: boolean;
  /** celeriac's own: what a message may cost a worker to read; one beyond it counts as one that cannot be read. */
  readonly contentLimits?: {
    /** Bytes on the wire. @default 134217728 (128 MiB) */
    readonly maxBody?: number;
    /** Bytes after decompression; compressed messages are opened one at a time. @default 16777216 (16 MiB) */
    readonly maxDecompressed?: number;
    /** How many times its size on the wire a body of more than 8 MiB may be after decompression. @default 100 */
    readonly maxRatio?: number;
    /** How deep arrays and objects may be nested. @default 500 */
    readonly maxDepth?: number;
    /** Object keys in all. @default 1000000 */
    readonly maxKeys?: number;
    /** Values in all, counted by commas and opening brackets. @default 1000000 */
    readonly maxValues?: number;
  };
}

/** Settings that read inside as they are written. */
export type PlainSettings = Required<
  Pick<
    SettingsOptions,
    | "acceptContent"
    | "brokerChannelErrorRetry"
    | "brokerConnectionRetry"
    | "brokerNativeDelayedDeliveryQueueType"
    | "brokerTransportOptions"
    | "enableUtc"
    | "imports"
    | "include"
    | "resultBackendAlwaysRetry"
    | "resultBackendBaseSleepBetweenRetriesMs"
    | "resultBackendMaxSleepBetweenRetriesMs"
    | "resultBackendTransportOptions"
    | "resultExtended"
    | "resultSerializer"
    | "resultSpoolMaxBytes"
    | "resultSpoolMaxRecords"
    | "taskAcksLate"
    | "taskAcksOnFailureOrTimeout"
    | "taskAcksOnStoreFailure"
    | "taskCreateMissingQueues"
    | "taskCreateMissingQueueType"
    | "taskDefaultExchangeType"
    | "taskDefaultQueue"
    | "taskDefaultQueueType"
    | "taskIgnoreResult"
    | "taskInheritParentPriority"
    | "taskProtocol"
    | "taskPublishRetry"
    | "taskSerializer"
    | "taskStoreErrorsEvenIfIgnored"
    | "taskTrackStarted"
    | "workerCancelLongRunningTasksOnConnectionLoss"
    | "workerCheckRevoked"
    | "workerDeduplicateSuccessfulTasks"
    | "workerDetectQuorumQueues"
    | "workerEnableSoftShutdownOnIdle"
    | "workerDirect"
    | "workerPrefetchMultiplier"
  >
>;

/** The settings as the rooms inside read them: complete, checked, durations in ms, `undefined` where Celery says None. */
export interface Settings extends PlainSettings {
  /** Content that is taken of results. */
  readonly resultAcceptContent: readonly string[];
  /** IANA name; undefined: what `enableUtc` says. */
  readonly timezone: string | undefined;
  /** First choice first; empty where none is given. */
  readonly brokerUrl: readonly string[];
  /** ms. */
  readonly brokerConnectionTimeout: number;
  /** Whether a worker waits for a broker that is away at its start. */
  readonly brokerConnectionRetryOnStartup: boolean;
  /** Infinity: for ever. */
  readonly brokerConnectionMaxRetries: number;
  /** Which URL comes after one that failed. */
  readonly brokerFailoverStrategy: "round-robin" | "shuffle";
  /** ms; 0: off. */
  readonly brokerHeartbeat: number;
  /** What a message may cost to read: complete. */
  readonly contentLimits: Required<NonNullable<SettingsOptions["contentLimits"]>>;
  /** The URL; undefined where none is given. */
  readonly resultBackend: string | undefined;
  /** ms; undefined: for ever. */
  readonly resultExpires: number | undefined;
  /** Infinity: for ever. */
  readonly resultBackendMaxRetries: number;
  /** ms. */
  readonly taskRevokeExpires: number;
  /** ms. */
  readonly workerSoftShutdownTimeout: number;
  /** The exchange of the default queue. */
  readonly taskDefaultExchange: string;
  /** The key of the default queue. */
  readonly taskDefaultRoutingKey: string;
  /** 2 survives a restart of the broker, 1 does not. */
  readonly taskDefaultDeliveryMode: 1 | 2;
  /** undefined: none. */
  readonly taskDefaultPriority: number | undefined;
  /** undefined: none. */
  readonly taskQueueMaxPriority: number | undefined;
  /** undefined: the default queue alone. */
  readonly taskQueues: ReadonlyMap<string, QueueSpec> | undefined;
  /** The type of the exchange of a queue that `taskQueues` does not name. */
  readonly taskCreateMissingQueueExchangeType: ExchangeType;
  /** In their order; undefined: none. */
  readonly taskRoutes: readonly Rule[] | undefined;
  /** undefined: none. */
  readonly taskCompression: string | undefined;
  /** In ms. */
  readonly taskPublishRetryPolicy: PublishRetryPolicy;
  /** ms. */
  readonly publishTimeout: number;
  /** undefined: what `taskAcksOnFailureOrTimeout` says. */
  readonly taskAcksOnFailure: boolean | undefined;
  /** undefined: what `taskAcksOnFailureOrTimeout` says. */
  readonly taskAcksOnTimeout: boolean | undefined;
  /** ms; 0: none. */
  readonly taskTimeLimit: number;
  /** ms; 0: none. */
  readonly taskSoftTimeLimit: number;
  /** null: without limit. */
  readonly taskMaxDeliveries: number | null;
  /** undefined: the worker's default. */
  readonly workerConcurrency: number | undefined;
  /** Infinity: none. */
  readonly workerEtaTaskLimit: number;
  /** ms. */
  readonly workerParkAfter: number;
}
