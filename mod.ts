/**
 * celeriac: Celery for every JavaScript runtime. This is the front door: the app, its results and errors; it names no adapter.
 *
 * @example
 * ```ts
 * import { Celery } from "celeriac";
 * import { amqpBroker } from "celeriac/amqp";
 * import { redisBackend } from "celeriac/redis";
 *
 * const app = new Celery("sum app", { broker: amqpBroker("amqp://"), backend: redisBackend("redis://") });
 * const result = await app.sendTask("tasks.add", { args: [2, 3] });
 * console.log(await result.get({ timeout: 5 }));
 * await app.close();
 * ```
 *
 * @module
 */
export { Celery } from "./src/app/app.ts";
export { Ignore, MaxRetriesExceededError, Reject, Retry } from "./src/app/predicates.ts";
export { SoftTimeLimitExceeded, TimeLimitExceeded } from "./src/app/time-limits.ts";
export { Signature } from "./src/canvas/signature.ts";
export {
  CeleriacError,
  ConfigurationError,
  ConnectionError,
  ContentDisallowedError,
  DecodeError,
  EncodeError,
  InvalidTaskError,
  PublishError,
  RemoteTaskError,
  TaskArgumentError,
  TaskInputError,
  TaskRevokedError,
  TimeoutError,
  TopologyMismatchError,
  WorkerShutdownError,
} from "./src/errors.ts";
export { LOG_LEVELS } from "./src/lib/logger.ts";
export { PyDate, PyDatetime, PyDecimal, PyFloat, PyTime, PyUuid } from "./src/protocol/types.ts";
export { AsyncResult } from "./src/result/async-result.ts";

export type { ManyItem, ManyOutcome } from "./src/app/app.ts";
export type {
  Envelope,
  HookEvents,
  HookName,
  Middleware,
  Observer,
  ObserverOptions,
  TaskEvent,
  TaskFailureEvent,
  TaskPostrunEvent,
  TaskRejectedEvent,
  TaskRetryEvent,
  TaskRevokedEvent,
  TaskRunEvent,
  TaskSuccessEvent,
  TaskUnknownEvent,
  WorkerEvent,
} from "./src/app/hook-events.ts";
export type { CeleryOptions } from "./src/app/options.ts";
export type { RetryChanges, RetryOptions } from "./src/app/predicates.ts";
export type { Limits } from "./src/protocol/limits.ts";
export type { NamedQueue, QueueBinding, QueueSpec, TaskQueue, TaskQueuesOption } from "./src/app/queues.ts";
export type {
  RoutedTask,
  RouteFunction,
  RouteMap,
  Rule,
  TaskRouter,
  TaskRoutesOption,
} from "./src/app/rules.ts";
export type { Running, TaskLog } from "./src/app/running.ts";
export type { IncludeLoader, PlainSettings, Settings, SettingsOptions } from "./src/app/settings.ts";
export type {
  SchemaInput,
  SchemaOutput,
  StandardSchemaIssue,
  StandardSchemaProps,
  StandardSchemaResult,
  StandardSchemaV1,
} from "./src/app/standard-schema.ts";
export type {
  BoundTaskOptions,
  ErrorMatch,
  InputTaskOptions,
  Names,
  PlainTaskOptions,
  TaskOptions,
} from "./src/app/task.ts";
export type { TransportOptions, Transports } from "./src/app/transports.ts";
export type { Backend, Facts, ResultRecord } from "./src/backend.ts";
export type {
  BindingEntity,
  Broker,
  BrokerEvent,
  BrokerFeatures,
  Call,
  Consumer,
  DelayQueueType,
  DelayWay,
  Delivery,
  Destination,
  Entity,
  ExchangeEntity,
  ExchangeType,
  Inbox,
  Message,
  Outgoing,
  PublishBroker,
  PublishFeatures,
  PublishOptions,
  QueueEntity,
  Settlement,
  Subscription,
  Verdict,
} from "./src/broker.ts";
export type { AnySignature, SignatureParts } from "./src/canvas/signature.ts";
export type { ErrorDetails, RemoteErrorDetails, TopologyMismatch } from "./src/errors.ts";
export type { Duration } from "./src/lib/duration.ts";
export type { Logger, LogLevel } from "./src/lib/logger.ts";
export type {
  BasePlatform,
  Clock,
  Context,
  HostFacts,
  Ids,
  Platform,
  Random,
  Timer,
} from "./src/lib/port.ts";
export type {
  PublishRetryPolicy,
  QueueOptions,
  RouteOptions,
  SendingOptions,
} from "./src/producer/settings.ts";
export type {
  ApplyArgs,
  Registered,
  Tail,
  Task,
  TaskArgs,
  TaskFunction,
  TaskRegistry,
  TaskResult,
  TasksByName,
} from "./src/producer/task.ts";
export type { WireSignature } from "./src/protocol/signature.ts";
export type { PyText } from "./src/protocol/types.ts";
export type { GetOptions, ResultSource, StateChange } from "./src/result/async-result.ts";
export type { CallOptions, RetryPolicy, Sender, SendOptions } from "./src/result/sender.ts";
export type { StampedHeaders } from "./src/result/revoke.ts";
export type { ResultTuple } from "./src/result/tuple.ts";
