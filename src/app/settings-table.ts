/**
 * How each setting is read: its default, its kind, and the sentence for what is wrong.
 *
 * @module
 */
import { RETRY_POLICY } from "../producer/retry.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import {
  deliveryMode,
  exchangeType,
  flag,
  type Kind,
  limits,
  loaders,
  names,
  oneOf,
  policy,
  record,
  text,
  time,
  urls,
  whole,
  zone,
} from "./settings-kinds.ts";
import { invalid } from "./fields.ts";
import { queues } from "./queues.ts";
import { routes } from "./rules.ts";
import { snakeCase } from "./settings-names.ts";
import type { Settings } from "./settings.ts";

/** A setting: its kind, its default, and what Celery's None means (nothing: None is refused). */
interface Entry<T> {
  readonly kind: Kind<T>;
  readonly initial: T;
  readonly none?: T;
  readonly nullable: boolean;
}

type Table = { readonly [K in keyof Settings]: Entry<Settings[K]> };

const is = <T>(kind: Kind<T>, initial: T): Entry<T> => ({ kind, initial, nullable: false });
const orNone = <T>(kind: Kind<T>, initial: T, none: T): Entry<T> => ({ kind, initial, none, nullable: true });
const maybe = <T>(
  kind: Kind<T>,
): Entry<
  T | undefined
> => ({ kind, initial: undefined, none: undefined, nullable: true } as Entry<T | undefined>);

/** Defaults that are another setting's value are filled in by {@link readSettings}. */
const FILLED_IN = "";

const TABLE: Table = {
  acceptContent: is(names, ["json"]),
  resultAcceptContent: orNone(names, [], []),
  enableUtc: is(flag, true),
  timezone: maybe(zone),
  include: is(loaders, []),
  imports: is(loaders, []),
  brokerUrl: orNone(urls, [], []),
  brokerTransportOptions: is(record, {}),
  brokerConnectionTimeout: is(time, 4000),
  brokerConnectionRetry: is(flag, true),
  brokerConnectionRetryOnStartup: orNone(flag, true, true),
  brokerConnectionMaxRetries: orNone(whole(0), 100, Infinity),
  brokerChannelErrorRetry: is(flag, true),
  brokerFailoverStrategy: orNone(oneOf("round-robin", "shuffle"), "round-robin", "round-robin"),
  brokerHeartbeat: orNone(time, 120_000, 0),
  brokerNativeDelayedDeliveryQueueType: is(oneOf("classic", "quorum"), "quorum"),
  resultBackend: maybe(text),
  resultBackendTransportOptions: is(record, {}),
  resultSerializer: is(text, "json"),
  resultExpires: orNone<number | undefined>(time, 86_400_000, undefined),
  resultExtended: is(flag, false),
  resultBackendAlwaysRetry: is(flag, false),
  resultBackendMaxRetries: orNone(whole(0), Infinity, Infinity),
  resultBackendBaseSleepBetweenRetriesMs: is(whole(1), 10),
  resultBackendMaxSleepBetweenRetriesMs: is(whole(1), 10_000),
  resultSpoolMaxRecords: is(whole(0), 10_000),
  resultSpoolMaxBytes: is(whole(0), 16 * 1024 * 1024),
  taskDefaultQueue: is(text, "celery"),
  taskDefaultQueueType: is(oneOf("classic", "quorum"), "classic"),
  taskDefaultExchange: orNone(text, FILLED_IN, FILLED_IN),
  taskDefaultExchangeType: is(exchangeType, "direct"),
  taskDefaultRoutingKey: orNone(text, FILLED_IN, FILLED_IN),
  taskDefaultDeliveryMode: is(deliveryMode, 2),
  taskDefaultPriority: maybe(whole(0, 255)),
  taskQueueMaxPriority: maybe(whole(1, 255)),
  taskQueues: maybe(queues),
  taskCreateMissingQueues: is(flag, true),
  taskCreateMissingQueueType: is(oneOf("classic", "quorum"), "classic"),
  taskCreateMissingQueueExchangeType: orNone(exchangeType, "direct", "direct"),
  taskRoutes: maybe(routes),
  taskInheritParentPriority: is(flag, false),
  taskSerializer: is(text, "json"),
  taskCompression: maybe(text),
  taskProtocol: is(oneOf(2), 2),
  taskPublishRetry: is(flag, true),
  taskPublishRetryPolicy: is(policy, RETRY_POLICY),
  taskIgnoreResult: is(flag, false),
  taskStoreErrorsEvenIfIgnored: is(flag, false),
  taskTrackStarted: is(flag, false),
  taskAcksLate: is(flag, false),
  taskAcksOnFailureOrTimeout: is(flag, true),
  taskAcksOnFailure: maybe(flag),
  taskAcksOnTimeout: maybe(flag),
  taskTimeLimit: orNone(time, 0, 0),
  taskSoftTimeLimit: orNone(time, 0, 0),
  taskMaxDeliveries: orNone<number | null>(whole(1), 3, null),
  workerDeduplicateSuccessfulTasks: is(oneOf(false, true, "always"), false),
  taskAcksOnStoreFailure: is(flag, true),
  taskRevokeExpires: is(time, 28 * 86_400_000),
  workerCancelLongRunningTasksOnConnectionLoss: is(flag, false),
  workerConcurrency: maybe(whole(1)),
  workerDirect: is(flag, false),
  workerPrefetchMultiplier: is(whole(0), 4),
  workerSoftShutdownTimeout: is(time, 0),
  workerEnableSoftShutdownOnIdle: is(flag, false),
  workerCheckRevoked: is(oneOf("returned", "always", "never"), "returned"),
  workerEtaTaskLimit: orNone(whole(0), Infinity, Infinity),
  workerParkAfter: is(time, 5000),
  workerDetectQuorumQueues: is(flag, true),
  contentLimits: is(limits, DEFAULT_LIMITS),
  publishTimeout: is(time, 30_000),
};

const ENTRIES: ReadonlyMap<string, Entry<unknown>> = new Map(Object.entries(TABLE));

/** The names that we honour, in camelCase. */
export const SETTING_NAMES: ReadonlySet<string> = new Set(ENTRIES.keys());

/** One value, checked. Throws `ConfigurationError` "setting-invalid" (never showing a text that may hold a secret) or "duration-invalid". */
export function readSetting(name: string, value: unknown): unknown {
  const entry = ENTRIES.get(name);
  if (entry === undefined || value === undefined) return entry?.initial;
  if (value === null && entry.nullable) return entry.none;
  const read = value === null ? undefined : entry.kind.read(value, snakeCase(name));
  if (read !== undefined) return read;
  throw invalid(snakeCase(name), entry.kind.is, value);
}

/** All settings: checked values over the defaults, and those that follow from others. */
export function readSettings(values: ReadonlyMap<string, unknown>): Settings {
  const settings: Record<string, unknown> = {};
  for (const [name, entry] of ENTRIES) settings[name] = values.has(name) ? values.get(name) : entry.initial;
  const read = settings as { -readonly [K in keyof Settings]: Settings[K] };
  if (read.taskDefaultExchange === FILLED_IN) read.taskDefaultExchange = read.taskDefaultQueue;
  if (read.taskDefaultRoutingKey === FILLED_IN) read.taskDefaultRoutingKey = read.taskDefaultQueue;
  if (read.resultAcceptContent.length === 0) read.resultAcceptContent = read.acceptContent;
  if (!values.has("brokerConnectionRetryOnStartup")) {
    read.brokerConnectionRetryOnStartup = read.brokerConnectionRetry;
  }
  if (read.brokerConnectionMaxRetries === 0) read.brokerConnectionMaxRetries = Infinity;
  if (read.resultExpires === 0) read.resultExpires = undefined;
  return Object.freeze(read);
}
