/**
 * Sends tasks with the least code: for edge functions, where each kilobyte is loaded with the first request.
 *
 * @example
 * ```ts
 * import { Producer } from "celeriac/producer";
 * import { upstashPublisher } from "celeriac/upstash";
 *
 * const producer = new Producer({ broker: upstashPublisher({ url: "https://…", token: "…" }) });
 * const { id } = await producer.sendTask("tasks.add", { args: [2, 3] });
 * ```
 *
 * @module
 */
export {
  CeleriacError,
  ConfigurationError,
  ConnectionError,
  DecodeError,
  EncodeError,
  InvalidTaskError,
  PublishError,
  RemoteTaskError,
  TaskArgumentError,
  TimeoutError,
} from "../errors.ts";
export { PyDate, PyDatetime, PyDecimal, PyFloat, PyTime, PyUuid } from "../protocol/types.ts";
export { Producer } from "./producer.ts";
export { resultOf } from "./result.ts";
export { queues, retryPolicy, routes } from "./routes.ts";

export type { Backend, Facts, ResultRecord } from "../backend.ts";
export type {
  BindingEntity,
  Call,
  Destination,
  Entity,
  ExchangeEntity,
  ExchangeType,
  Message,
  Outgoing,
  PublishBroker,
  PublishFeatures,
  PublishOptions,
  QueueEntity,
  Verdict,
} from "../broker.ts";
export type { AnySignature, Signature, SignatureParts } from "../canvas/signature.ts";
export type { ErrorDetails, RemoteErrorDetails } from "../errors.ts";
export type { Duration } from "../lib/duration.ts";
export type {
  BasePlatform,
  Clock,
  Context,
  HostFacts,
  Ids,
  Platform,
  Random,
  SenderPlatform,
  Timer,
} from "../lib/port.ts";
export type { Limits } from "../protocol/limits.ts";
export type { WireSignature } from "../protocol/signature.ts";
export type { PyText } from "../protocol/types.ts";
export type { AsyncResult, GetOptions, ResultSource, StateChange } from "../result/async-result.ts";
export type { CallOptions, RetryPolicy, Sender, SendOptions } from "../result/sender.ts";
export type { ResultTuple } from "../result/tuple.ts";
export type {
  PlainCallOptions,
  ProducerCallOptions,
  ProducerOptions,
  ProducerSendOptions,
} from "./options.ts";
export type { ProducerTask, Sent } from "./producer.ts";
export type { Route } from "./route.ts";
export type { ProducerRoute, TaskPublishRetryPolicy, TaskQueues, TaskRoutes } from "./routes.ts";
export type { PublishRetryPolicy, QueueOptions, RouteOptions, SendingOptions } from "./settings.ts";
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
} from "./task.ts";
