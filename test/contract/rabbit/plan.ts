/**
 * Random channel commands as data: each step's picks are resolved against what the model holds when the step is run.
 *
 * @module
 */
import fc from "fast-check";

/** Two connections with two channels each. */
export const SLOTS = 4;

/** The channel's slot of a connection. */
export function connectionOf(slot: number): number {
  return Math.floor(slot / 2);
}

/** A step before its picks are resolved. */
export interface Pick {
  readonly kind: string;
  readonly slot: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

const WEIGHTS: Readonly<Record<string, number>> = {
  publish: 26,
  ack: 12,
  nack: 14,
  reject: 5,
  badTag: 1,
  consume: 10,
  cancel: 3,
  get: 6,
  qos: 6,
  declare: 3,
  passive: 1,
  remove: 1,
  purge: 1,
  exchange: 1,
  removeExchange: 1,
  bind: 5,
  unbind: 1,
  close: 2,
  closeConnection: 1,
  badExpiration: 1,
};

/** Random steps; without fast-check's bias towards small numbers, which would pick the same few choices over and over. */
export const picksArb: fc.Arbitrary<readonly Pick[]> = fc.array(
  fc.noBias(fc.record({
    kind: fc.oneof(
      ...Object.entries(WEIGHTS).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) })),
    ),
    slot: fc.nat(SLOTS - 1),
    a: fc.nat(9999),
    b: fc.nat(9999),
    c: fc.nat(9999),
  })),
  { minLength: 20, maxLength: 60, size: "max" },
);

/** A step, ready to be run by fake and real alike. `slot` names the channel. */
export type Step =
  | { readonly do: "declare"; readonly slot: number; readonly queue: string; readonly passive: boolean }
    & QueueOptions
  | {
    readonly do: "delete";
    readonly slot: number;
    readonly queue: string;
    readonly ifUnused: boolean;
    readonly ifEmpty: boolean;
  }
  | { readonly do: "purge"; readonly slot: number; readonly queue: string }
  | {
    readonly do: "exchange";
    readonly slot: number;
    readonly exchange: string;
    readonly type: string;
    readonly durable: boolean;
    readonly autoDelete: boolean;
    readonly passive: boolean;
  }
  | {
    readonly do: "deleteExchange";
    readonly slot: number;
    readonly exchange: string;
    readonly ifUnused: boolean;
  }
  | {
    readonly do: "bind" | "unbind";
    readonly slot: number;
    readonly queue: string;
    readonly exchange: string;
    readonly routingKey: string;
  }
  | {
    readonly do: "publish";
    readonly slot: number;
    readonly exchange: string;
    readonly routingKey: string;
    readonly body: string;
    readonly mandatory: boolean;
    readonly priority: number | undefined;
    readonly expiration: string | undefined;
  }
  | { readonly do: "qos"; readonly slot: number; readonly prefetch: number }
  | {
    readonly do: "consume";
    readonly slot: number;
    readonly queue: string;
    readonly tag: string;
    readonly noAck: boolean;
    readonly exclusive: boolean;
    readonly priority: number | undefined;
  }
  | { readonly do: "cancel"; readonly slot: number; readonly tag: string }
  | { readonly do: "get"; readonly slot: number; readonly queue: string; readonly noAck: boolean }
  | {
    readonly do: "ack" | "nack" | "reject";
    readonly slot: number;
    readonly deliveryTag: number;
    readonly multiple: boolean;
    readonly requeue: boolean;
  }
  | { readonly do: "close" | "open"; readonly slot: number }
  | { readonly do: "closeConnection"; readonly slot: number }
  /** Lets ms pass; only in scripts. */
  | { readonly do: "wait"; readonly slot: number; readonly ms: number };

/** How a queue is declared. */
export interface QueueOptions {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** Queue declarations to choose from; the first ones are the likelier ones. */
function queueOptions(pick: number, names: Names): QueueOptions {
  const plain: QueueOptions = { durable: true, exclusive: false, autoDelete: false, arguments: {} };
  const deadLetter = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": names.queues[0] };
  const choices: readonly QueueOptions[] = [
    plain,
    plain,
    plain,
    { ...plain, durable: false, autoDelete: true },
    { ...plain, durable: false, exclusive: true },
    { ...plain, arguments: { "x-max-priority": 3 } },
    { ...plain, arguments: deadLetter },
    { ...plain, arguments: { "x-dead-letter-exchange": names.exchanges[0] } },
    { ...plain, arguments: { "x-max-length": 2, ...deadLetter } },
    { ...plain, arguments: { "x-max-length": 2, "x-overflow": "reject-publish" } },
    { ...plain, arguments: { "x-message-ttl": 0, ...deadLetter } },
    { ...plain, arguments: { "x-max-priority": 2, "x-max-length": 3 } },
    { ...plain, arguments: { "x-max-length-bytes": 6 } },
    { ...plain, arguments: { "x-max-priority": 300 } },
    { ...plain, arguments: { "x-message-ttl": -1 } },
    { ...plain, arguments: { "x-dead-letter-routing-key": "k" } },
  ];
  return choices[pick % choices.length] ?? plain;
}

/** The names of one run. */
export interface Names {
  readonly queues: readonly string[];
  readonly exchanges: readonly string[];
}

export function namesOf(run: string): Names {
  return { queues: [0, 1, 2].map((n) => `${run}.q${n}`), exchanges: [0, 1].map((n) => `${run}.x${n}`) };
}

/** What a pick may refer to. */
export interface Model {
  /** Unsettled delivery tags of a slot, lowest first. */
  outstanding(slot: number): readonly number[];
  /** Whether the slot's channel is open. */
  isOpen(slot: number): boolean;
  /** Queues that exist. */
  readonly queues: readonly string[];
  /** How a queue was declared. */
  declared(queue: string): QueueOptions | undefined;
}

/** Steps that make the queues and exchanges of a run, so that few of its steps miss them. */
export function preamble(picks: readonly Pick[], names: Names): readonly Step[] {
  // One plain queue, one with a bound or dead letters, one of any kind; the last choices are those that RabbitMQ refuses.
  const kinds = [0, [6, 8, 9, 9][(picks[1]?.a ?? 0) % 4] ?? 9, (picks[2]?.a ?? 0) % 13];
  const steps: Step[] = names.queues.map((queue, at) => ({
    do: "declare",
    slot: 0,
    queue,
    passive: false,
    ...queueOptions(kinds[at] ?? 0, names),
  }));
  for (const [at, exchange] of names.exchanges.entries()) {
    const type = at === 0 ? "direct" : ["topic", "fanout"][(picks[0]?.b ?? 0) % 2] ?? "topic";
    steps.push({ do: "exchange", slot: 0, exchange, type, durable: true, autoDelete: false, passive: false });
    const routingKey = KEYS[(picks[1]?.c ?? 0) % KEYS.length] ?? "";
    steps.push({ do: "bind", slot: 0, queue: names.queues[at] ?? "", exchange, routingKey });
  }
  return steps;
}

const KEYS = ["a", "a.b", "a.b.c", "", "b", "#", "*.b", "a.#", "a.*", "#.c"];

/** Resolves a pick; a closed slot is opened first. */
export function resolve(pick: Pick, names: Names, model: Model, body: string): Step {
  const { slot, a, b, c } = pick;
  if (!model.isOpen(slot)) return { do: "open", slot };
  // Mostly a queue that exists.
  const pool = model.queues.length > 0 && c % 20 !== 0 ? model.queues : names.queues;
  const queue = pool[a % pool.length] ?? "";
  const anyQueue = names.queues[a % names.queues.length] ?? "";
  const exchange = names.exchanges[b % names.exchanges.length] ?? "";
  const tag = `t${b % 3}`;
  switch (pick.kind) {
    case "declare":
      // Mostly as it stands.
      return {
        do: "declare",
        slot,
        queue: anyQueue,
        passive: false,
        ...(c % 4 === 0 ? undefined : model.declared(anyQueue)) ?? queueOptions(b, names),
      };
    case "passive":
      return { do: "declare", slot, queue: anyQueue, passive: true, ...queueOptions(0, names) };
    case "remove":
      return { do: "delete", slot, queue: anyQueue, ifUnused: b % 3 === 0, ifEmpty: c % 3 === 0 };
    case "purge":
      return { do: "purge", slot, queue };
    case "exchange": {
      const type = ["direct", "topic", "fanout", "nonsense"][a % 13 === 0 ? 3 : a % 3] ?? "direct";
      return {
        do: "exchange",
        slot,
        exchange,
        type,
        durable: true,
        autoDelete: c % 5 === 0,
        passive: c % 7 === 0,
      };
    }
    case "removeExchange":
      return { do: "deleteExchange", slot, exchange, ifUnused: a % 2 === 0 };
    case "bind":
    case "unbind":
      return { do: pick.kind, slot, queue, exchange, routingKey: KEYS[c % KEYS.length] ?? "" };
    case "publish": {
      const direct = c % 3 !== 0;
      return {
        do: "publish",
        slot,
        exchange: direct ? "" : exchange,
        routingKey: direct ? queue : KEYS[a % 5] ?? "",
        body,
        mandatory: b % 2 === 0,
        priority: a % 4 === 0 ? b % 6 : undefined,
        expiration: undefined,
      };
    }
    case "badExpiration": {
      const expiration = ["-1", "x", "1e3", "1.5", "5 ", "+60000", "060000", "315360000001"][a % 8] ?? "";
      return {
        do: "publish",
        slot,
        exchange: "",
        routingKey: queue,
        body,
        mandatory: false,
        priority: undefined,
        expiration,
      };
    }
    case "qos":
      return { do: "qos", slot, prefetch: a % 4 };
    case "consume":
      return {
        do: "consume",
        slot,
        queue,
        tag,
        noAck: c % 6 === 1,
        exclusive: c % 9 === 2,
        priority: c % 7 === 3 ? (a % 5) - 2 : undefined,
      };
    case "cancel":
      return { do: "cancel", slot, tag };
    case "get":
      return { do: "get", slot, queue, noAck: c % 4 === 0 };
    case "ack":
    case "nack":
    case "reject": {
      const tags = model.outstanding(slot);
      if (tags.length === 0) return { do: "get", slot, queue, noAck: false };
      const multiple = pick.kind !== "reject" && b % 2 === 0;
      const deliveryTag = multiple && c % 5 === 0 ? 0 : tags[a % tags.length] ?? 0;
      return { do: pick.kind, slot, deliveryTag, multiple, requeue: c % 3 !== 0 };
    }
    case "badTag": {
      const how = (["ack", "nack", "reject"] as const)[a % 3] ?? "ack";
      const tags = model.outstanding(slot);
      const deliveryTag = [0, 1, (tags.at(-1) ?? 0) + 1, 1000][b % 4] ?? 0;
      return { do: how, slot, deliveryTag, multiple: how !== "reject" && c % 2 === 0, requeue: true };
    }
    case "closeConnection":
      return { do: "closeConnection", slot };
    default:
      return { do: "close", slot };
  }
}
