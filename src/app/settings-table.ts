/**
 * How each setting is read: its default, its kind, and the sentence for what is wrong.
 *
 * @module
 */
import type { ExchangeType } from "../broker.ts";
import { ConfigurationError } from "../errors.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import { instantFormat } from "./timezone.ts";
import { snakeCase } from "./settings-names.ts";
import type { IncludeLoader, PublishRetryPolicy, QueueOptions, RouteOptions, Settings } from "./settings.ts";

/** Reads a value as a program wrote it; undefined: not of its kind. */
interface Kind<T> {
  /** Ends the sentence "task_default_queue must be …". */
  readonly is: string;
  read(value: unknown, name: string): T | undefined;
}

/** A setting: its kind, its default, and what Celery's None means (nothing: None is refused). */
interface Entry<T> {
  readonly kind: Kind<T>;
  readonly initial: T;
  readonly none?: T;
  readonly nullable: boolean;
}

type Table = { readonly [K in keyof Settings]: Entry<Settings[K]> };

const flag: Kind<boolean> = {
  is: "true or false",
  read: (value) => typeof value === "boolean" ? value : undefined,
};

const text: Kind<string> = {
  is: "a text that is not empty",
  read: (value) => typeof value === "string" && value !== "" ? value : undefined,
};

const names: Kind<readonly string[]> = {
  is: "an array of texts",
  read: (value) => {
    const list = typeof value === "string" ? value.split(",").map((each) => each.trim()) : value;
    return Array.isArray(list) && list.every((each) => typeof each === "string")
      ? list as string[]
      : undefined;
  },
};

const urls: Kind<readonly string[]> = {
  is: "a URL, or an array of URLs",
  read: (value) => {
    const list = typeof value === "string" ? value.split(";") : value;
    const given = Array.isArray(list) && list.every((each) => typeof each === "string")
      ? list as string[]
      : undefined;
    const trimmed = given?.map((each) => each.trim()).filter((each) => each !== "");
    return trimmed === undefined || trimmed.length === 0 ? undefined : trimmed;
  },
};

const loaders: Kind<readonly IncludeLoader[]> = {
  is: 'an array of functions that import a module: [() => import("./tasks.ts")]',
  read: (value) =>
    Array.isArray(value) && value.every((each) => typeof each === "function")
      ? value as IncludeLoader[]
      : undefined,
};

const record: Kind<Readonly<Record<string, unknown>>> = {
  is: "an object",
  read: (value) => isRecord(value) ? value : undefined,
};

/** ms. */
const time: Kind<number> = {
  is: 'seconds as a number, or a text with its unit ("10s", "5m", "1h")',
  read: (value, name) =>
    typeof value === "number" || typeof value === "string" ? toMs(value as Duration, name) : undefined,
};

const whole = (least: number, most = Number.MAX_SAFE_INTEGER): Kind<number> => ({
  is: most === Number.MAX_SAFE_INTEGER
    ? `a whole number from ${least}`
    : `a whole number from ${least} to ${most}`,
  read: (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? value as number
      : undefined,
});

const oneOf = <const V extends readonly unknown[]>(...values: V): Kind<V[number]> => ({
  is: `one of ${values.map((value) => JSON.stringify(value)).join(", ")}`,
  read: (value) => values.includes(value) ? value as V[number] : undefined,
});

const deliveryMode: Kind<1 | 2> = {
  is: 'one of 2 ("persistent"), 1 ("transient")',
  read: (value) =>
    value === 2 || value === "persistent" ? 2 : value === 1 || value === "transient" ? 1 : undefined,
};

const zone: Kind<string> = {
  is: 'the IANA name of a time zone that this runtime knows, such as "Europe/Oslo"',
  read: (value) => {
    if (typeof value !== "string" || value === "") return undefined;
    try {
      instantFormat(value);
      return value;
    } catch {
      return undefined;
    }
  },
};

const policy: Kind<PublishRetryPolicy> = {
  is: "an object with maxRetries, intervalStart, intervalStep, intervalMax",
  read: (value, name) => {
    if (!isRecord(value)) return undefined;
    const read = { ...RETRY_POLICY } as { -readonly [K in keyof PublishRetryPolicy]: number };
    for (const [key, part] of Object.entries(value)) {
      const field = POLICY_FIELDS.get(key);
      if (field === undefined) return undefined;
      if (field === "maxRetries") read.maxRetries = part === null ? Infinity : Number(part);
      else if (part !== undefined) read[field] = toMs(part as Duration, `${name}.${key}`);
    }
    return read.maxRetries >= 0 ? read : undefined;
  },
};

const POLICY_FIELDS: ReadonlyMap<string, keyof PublishRetryPolicy> = new Map([
  ["maxRetries", "maxRetries"],
  ["max_retries", "maxRetries"],
  ["intervalStart", "intervalStart"],
  ["interval_start", "intervalStart"],
  ["intervalStep", "intervalStep"],
  ["interval_step", "intervalStep"],
  ["intervalMax", "intervalMax"],
  ["interval_max", "intervalMax"],
]);

/** Celery's default of `task_publish_retry_policy`, in ms. */
export const RETRY_POLICY: PublishRetryPolicy = {
  maxRetries: 3,
  intervalStart: 0,
  intervalStep: 200,
  intervalMax: 1000,
};

/** Reads the `retryPolicy` of a call. */
export function readRetryPolicy(value: unknown): PublishRetryPolicy {
  const read = policy.read(value, "retryPolicy");
  if (read !== undefined) return read;
  throw new ConfigurationError("setting-invalid", `retryPolicy must be ${policy.is}.`);
}

const EXCHANGE_TYPES: Kind<ExchangeType> = oneOf("direct", "topic", "fanout");

const QUEUE_FIELDS: ReadonlyMap<string, keyof QueueOptions> = new Map([
  ["exchange", "exchange"],
  ["exchangeType", "exchangeType"],
  ["exchange_type", "exchangeType"],
  ["routingKey", "routingKey"],
  ["routing_key", "routingKey"],
  ["queueArguments", "queueArguments"],
  ["queue_arguments", "queueArguments"],
]);

const ROUTE_FIELDS: ReadonlyMap<string, keyof RouteOptions> = new Map([
  ["queue", "queue"],
  ["exchange", "exchange"],
  ["routingKey", "routingKey"],
  ["routing_key", "routingKey"],
  ["priority", "priority"],
]);

/** An object of objects whose fields are known by either spelling. */
function entries<T>(
  is: string,
  fields: ReadonlyMap<string, keyof T>,
  short?: keyof T,
): Kind<ReadonlyMap<string, T>> {
  return {
    is,
    read: (value) => {
      if (!isRecord(value)) return undefined;
      const read = new Map<string, T>();
      for (const [name, options] of Object.entries(value)) {
        const given = typeof options === "string" && short !== undefined ? { [short]: options } : options;
        if (!isRecord(given)) return undefined;
        const known: Record<PropertyKey, unknown> = {};
        for (const [key, part] of Object.entries(given)) {
          const field = fields.get(key);
          if (field === undefined) return undefined;
          if (part !== null && part !== undefined) known[field] = part;
        }
        read.set(name, known as T);
      }
      return read;
    },
  };
}

const queues: Kind<ReadonlyMap<string, QueueOptions>> = entries<QueueOptions>(
  "an object: name of a queue to { exchange, exchangeType, routingKey, queueArguments }",
  QUEUE_FIELDS,
);

const routes: Kind<ReadonlyMap<string, RouteOptions>> = entries<RouteOptions>(
  "an object: name of a task or glob to the name of a queue, or to { queue, exchange, routingKey, priority }",
  ROUTE_FIELDS,
  "queue",
);

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
  brokerHeartbeat: orNone(time, 120_000, 0),
  resultBackend: maybe(text),
  resultBackendTransportOptions: is(record, {}),
  resultSerializer: is(text, "json"),
  resultExpires: orNone<number | undefined>(time, 86_400_000, undefined),
  resultExtended: is(flag, false),
  taskDefaultQueue: is(text, "celery"),
  taskDefaultQueueType: is(oneOf("classic", "quorum"), "classic"),
  taskDefaultExchange: orNone(text, FILLED_IN, FILLED_IN),
  taskDefaultExchangeType: is(EXCHANGE_TYPES, "direct"),
  taskDefaultRoutingKey: orNone(text, FILLED_IN, FILLED_IN),
  taskDefaultDeliveryMode: is(deliveryMode, 2),
  taskDefaultPriority: maybe(whole(0, 255)),
  taskQueueMaxPriority: maybe(whole(1, 255)),
  taskQueues: maybe(queues),
  taskCreateMissingQueues: is(flag, true),
  taskCreateMissingQueueType: is(oneOf("classic", "quorum"), "classic"),
  taskCreateMissingQueueExchangeType: orNone(EXCHANGE_TYPES, "direct", "direct"),
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
  workerConcurrency: maybe(whole(1)),
  workerPrefetchMultiplier: is(whole(0), 4),
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
  throw new ConfigurationError(
    "setting-invalid",
    `${snakeCase(name)} must be ${entry.kind.is}; it is ${shown(value)}.`,
  );
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

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

/** Enough to find the mistake, and never a text: it may be a URL with a password. */
function shown(value: unknown): string {
  if (value === null) return "null (Celery's None)";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "string") return value === "" ? "an empty text" : "another text";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : `of type ${typeof value}`;
}
