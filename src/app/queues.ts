/**
 * `task_queues`: from what a program writes to what the router works with.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import type { Duration } from "../lib/duration.ts";
import type { QueueOptions } from "../producer/settings.ts";
import type { ExchangeType } from "../broker.ts";
import { type Fields, invalid, isRecord, readFields } from "./fields.ts";
import {
  anyText,
  deliveryMode,
  exchangeType,
  flag,
  type Kind,
  record,
  text,
  time,
  whole,
} from "./settings-kinds.ts";

/** A further binding of a queue (kombu: `binding`). */
export interface QueueBinding {
  /** The exchange that the queue is bound to besides. */
  readonly exchange: string;
  /** How it routes. @default "direct" */
  readonly exchangeType?: ExchangeType;
  /** The key, or for topic the pattern. @default "" */
  readonly routingKey?: string;
  /** AMQP's arguments of the binding. */
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** What an app says of a queue (kombu: `Queue`, `Broadcast`); what is unsaid is as Celery fills it in. A number of time is seconds. */
export interface TaskQueue extends QueueOptions {
  /** Bound to these besides; its own exchange is then the default one, as in kombu. */
  readonly bindings?: readonly QueueBinding[];
  /** 2 or "persistent", 1 or "transient": of what is sent to it. @default the setting `taskDefaultDeliveryMode` */
  readonly deliveryMode?: 1 | 2 | "transient" | "persistent";
  /** Whether queue and exchange survive a restart of the broker. @default true */
  readonly durable?: boolean;
  /** The same of the queue alone. */
  readonly queueDurable?: boolean;
  /** The same of the exchange alone. */
  readonly exchangeDurable?: boolean;
  /** Whether the queue goes with its last consumer, and the exchange with its last binding. @default false; true for a broadcast's queue */
  readonly autoDelete?: boolean;
  /** The same of the queue alone. */
  readonly queueAutoDelete?: boolean;
  /** The same of the exchange alone. */
  readonly exchangeAutoDelete?: boolean;
  /** AMQP's arguments of the exchange. */
  readonly exchangeArguments?: Readonly<Record<string, unknown>>;
  /** AMQP's arguments of the binding. */
  readonly bindingArguments?: Readonly<Record<string, unknown>>;
  /** `x-max-priority`. @default the setting `taskQueueMaxPriority` */
  readonly maxPriority?: number;
  /** `x-message-ttl`: how long a message may wait in it. */
  readonly messageTtl?: Duration;
  /** `x-expires`: how long the queue lives unused. */
  readonly expires?: Duration;
  /** `x-max-length`, in messages. */
  readonly maxLength?: number;
  /** `x-max-length-bytes`. */
  readonly maxLengthBytes?: number;
  /** True: it is there, and nobody here declares it. @default false */
  readonly noDeclare?: boolean;
  /**
   * True: what is sent to it comes to every worker that consumes it, each by a queue of its own (`bcast.<uuid>`) on a fanout exchange of
   * this name; a sender declares the exchange alone (kombu: `Broadcast`). @default false
   */
  readonly broadcast?: boolean;
}

/** A queue in an array of queues. */
export interface NamedQueue extends TaskQueue {
  /** The name of the queue. */
  readonly name: string;
}

/**
 * What the setting `taskQueues` takes: queues by name, or an array of them. As in Celery, a queue that names no routing key is bound by its
 * own name where queues come by name, and by `taskDefaultRoutingKey` in an array.
 */
export type TaskQueuesOption =
  | Readonly<Record<string, TaskQueue>>
  | ReadonlyMap<string, TaskQueue>
  | readonly (NamedQueue | string)[];

/** A queue of `task_queues` as the router has it: durations in ms. */
export type QueueSpec = {
  readonly [K in keyof TaskQueue]: K extends "expires" | "messageTtl" ? number
    : K extends "deliveryMode" ? 1 | 2
    : TaskQueue[K];
};

const BINDING_FIELDS: Fields<QueueBinding> = {
  kinds: { exchange: text, exchangeType, routingKey: anyText, arguments: record },
};

const bindings: Kind<readonly QueueBinding[]> = {
  is: "an array of { exchange, exchangeType, routingKey, arguments }",
  read: (value, place) =>
    Array.isArray(value)
      ? value.map((each: unknown, at) => {
        const binding = readFields<QueueBinding>(each, `${place}[${at}]`, BINDING_FIELDS);
        if (binding.exchange === undefined) throw invalid(`${place}[${at}]: exchange`, text.is, undefined);
        return binding;
      })
      : undefined,
};

const QUEUE_FIELDS: Fields<QueueSpec> = {
  kinds: {
    exchange: anyText,
    exchangeType,
    routingKey: anyText,
    queueArguments: record,
    bindings,
    deliveryMode,
    durable: flag,
    queueDurable: flag,
    exchangeDurable: flag,
    autoDelete: flag,
    queueAutoDelete: flag,
    exchangeAutoDelete: flag,
    exchangeArguments: record,
    bindingArguments: record,
    maxPriority: whole(1, 255),
    messageTtl: time,
    expires: time,
    maxLength: whole(0),
    maxLengthBytes: whole(0),
    noDeclare: flag,
    broadcast: flag,
  },
  aliases: { binding_key: "routingKey" },
};

const NAMED_FIELDS: Fields<QueueSpec & { readonly name: string }> = {
  kinds: { ...QUEUE_FIELDS.kinds, name: text },
};

/** The kind of `task_queues`. */
export const queues: Kind<ReadonlyMap<string, QueueSpec>> = {
  is: "an object or a Map (name of a queue to its options), or an array of { name, … }",
  read: (value, setting) => {
    if (Array.isArray(value)) return named(value, setting);
    const pairs = value instanceof Map
      ? [...value as Map<unknown, unknown>]
      : isRecord(value)
      ? Object.entries(value)
      : undefined;
    return pairs && new Map(pairs.map(([name, options]) => byName(name, options, setting)));
  },
};

/** Without a key it is bound by its own name. */
function byName(name: unknown, options: unknown, setting: string): readonly [string, QueueSpec] {
  if (typeof name !== "string" || name === "") throw invalid(`${setting}: a queue's name`, text.is, name);
  const spec = readFields<QueueSpec>(options, placeOf(setting, name), QUEUE_FIELDS);
  return [
    name,
    spec.routingKey === undefined && spec.broadcast !== true ? { ...spec, routingKey: name } : spec,
  ];
}

function named(list: readonly unknown[], setting: string): ReadonlyMap<string, QueueSpec> {
  const read = new Map<string, QueueSpec>();
  for (const [at, each] of list.entries()) {
    if (typeof each === "string" && each !== "") {
      read.set(each, {});
      continue;
    }
    const place = isRecord(each) && typeof each["name"] === "string"
      ? placeOf(setting, each["name"])
      : `${setting}[${at}]`;
    const { name, ...spec } = readFields(each, place, NAMED_FIELDS);
    if (name === undefined) throw new ConfigurationError("setting-invalid", `${place} has no name.`);
    read.set(name, spec);
  }
  return read;
}

function placeOf(setting: string, name: string): string {
  return `${setting}: queue ${JSON.stringify(name.slice(0, 80))}`;
}
