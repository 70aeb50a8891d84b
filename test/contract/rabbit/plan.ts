/**
 * Random channel commands as data: each step's picks are resolved against what the model holds when the step is run.
 *
 * @module
 */
import fc from "fast-check";
import { connectionOf, type Names, type QueueOptions, type SettleStep, SLOTS, type Step } from "./step.ts";

/** A step before its picks are resolved. */
export interface Pick {
  readonly kind: string;
  readonly slot: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** What sequences are made of. */
export interface Profile {
  readonly name: string;
  readonly weights: Readonly<Record<string, number>>;
  readonly length: { readonly min: number; readonly max: number };
  /** Queue declarations to choose from; each run has one of the first two kinds. */
  readonly queues: (names: Names) => readonly QueueOptions[];
  /** Declarations that RabbitMQ refuses. */
  readonly refused: readonly QueueOptions[];
  /** Times of messages, as text. */
  readonly expirations: readonly string[];
  /** Waits, ms. Where there are any, steps happen at their ends and nothing is due within {@link slack} of one. */
  readonly waits: readonly number[];
  /** How late the steps of one instant may be on the real server, ms. */
  readonly slack: number;
  /** What must occur. */
  readonly classes: readonly string[];
}

/** Whether time passes in its sequences. */
export function isTimed({ waits }: Profile): boolean {
  return waits.length > 0;
}

/** Random steps; without fast-check's bias towards small numbers, which would pick the same few choices over and over. */
export function picksOf({ weights, length }: Profile): fc.Arbitrary<readonly Pick[]> {
  return fc.array(
    fc.noBias(fc.record({
      kind: fc.oneof(
        ...Object.entries(weights).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) })),
      ),
      slot: fc.nat(SLOTS - 1),
      a: fc.nat(9999),
      b: fc.nat(9999),
      c: fc.nat(9999),
    })),
    { minLength: length.min, maxLength: length.max, size: "max" },
  );
}

/** What a pick may refer to. */
export interface Model {
  /** Unsettled delivery tags of a slot, lowest first. */
  outstanding(slot: number): readonly number[];
  /** The highest tag of the slot's channel so far. */
  lastTag(slot: number): number;
  /** Tags that the slot's channel before this one left unsettled. */
  stale(slot: number): readonly number[];
  isOpen(slot: number): boolean;
  /** Consumers of the slot's channel. */
  tags(slot: number): readonly string[];
  /** Queues that exist. */
  readonly queues: readonly string[];
  /** How a queue was declared. */
  declared(queue: string): QueueOptions | undefined;
}

const KEYS = ["a", "a.b", "a.b.c", "", "b", "#", "*.b", "a.#", "a.*", "#.c"];

/** Steps that make the queues and exchanges of a run, so that few of its steps miss them. */
export function preamble(picks: readonly Pick[], names: Names, profile: Profile): readonly Step[] {
  const choices = profile.queues(names);
  const steps: Step[] = names.queues.map((queue, at) => ({
    do: "declare",
    slot: 0,
    queue,
    passive: false,
    ...choices[at === 0 ? (picks[0]?.a ?? 0) % 2 : (picks[at]?.a ?? 0) % choices.length] as QueueOptions,
  }));
  for (const [at, exchange] of names.exchanges.entries()) {
    const type = at === 0 ? "direct" : ["topic", "fanout"][(picks[0]?.b ?? 0) % 2] ?? "topic";
    steps.push({ do: "exchange", slot: 0, exchange, type, durable: true, autoDelete: false, passive: false });
    const routingKey = KEYS[(picks[1]?.c ?? 0) % KEYS.length] ?? "";
    steps.push({ do: "bind", slot: 0, queue: names.queues[at] ?? "", exchange, routingKey });
  }
  return steps;
}

/** A tag that ought not to be settled: 0, one used before, one of the channel before, another channel's, one to come. */
function badTag({ slot, b, c }: Pick, model: Model): number {
  const tags = model.outstanding(slot);
  const last = model.lastTag(slot);
  const used = Array.from({ length: last }, (_, at) => at + 1).filter((tag) => !tags.includes(tag));
  const others = model.outstanding((slot + 1 + (c % (SLOTS - 1))) % SLOTS).filter((tag) =>
    !tags.includes(tag)
  );
  const choices = [[0], used, model.stale(slot), others, [last + 1], [1000 + last]];
  const some = choices[b % choices.length] as readonly number[];
  return some[c % Math.max(1, some.length)] ?? last + 1;
}

/** Resolves a pick; a closed slot is opened first. */
export function resolve(pick: Pick, names: Names, model: Model, body: string, profile: Profile): Step {
  const { slot, a, b, c } = pick;
  if (pick.kind === "wait") return { do: "wait", slot, ms: profile.waits[a % profile.waits.length] ?? 0 };
  if (!model.isOpen(slot)) return { do: "open", slot };
  // Mostly a queue that exists; now and then the one that this channel declared last.
  const pool = model.queues.length > 0 && c % 20 !== 0 ? model.queues : names.queues;
  const queue = pool[a % pool.length] ?? "";
  const shortQueue = c % 23 === 1 ? "" : queue;
  const anyQueue = names.queues[a % names.queues.length] ?? "";
  const exchange = names.exchanges[b % names.exchanges.length] ?? "";
  // Mostly one that is free.
  const tags = ["t0", "t1", "t2"];
  const free = b % 12 === 0 ? tags : tags.filter((tag) => !model.tags(slot).includes(tag));
  switch (pick.kind) {
    case "declare": {
      // Mostly as it stands.
      const choices = [...profile.queues(names), ...profile.refused];
      const options = (c % 4 === 0 ? undefined : model.declared(anyQueue)) ?? choices[b % choices.length];
      return { do: "declare", slot, queue: anyQueue, passive: false, ...options as QueueOptions };
    }
    case "passive": {
      const options = { durable: true, exclusive: false, autoDelete: false, arguments: {} };
      return { do: "declare", slot, queue: c % 9 === 0 ? "" : anyQueue, passive: true, ...options };
    }
    case "remove":
      return { do: "delete", slot, queue: anyQueue, ifUnused: b % 3 === 0, ifEmpty: c % 3 === 0 };
    case "purge":
      return { do: "purge", slot, queue: shortQueue };
    case "exchange": {
      const type = ["direct", "topic", "fanout", "nonsense"][a % 13 === 0 ? 3 : a % 3] ?? "direct";
      const autoDelete = c % 5 === 0;
      return { do: "exchange", slot, exchange, type, durable: true, autoDelete, passive: c % 7 === 0 };
    }
    case "removeExchange":
      return { do: "deleteExchange", slot, exchange, ifUnused: a % 2 === 0 };
    case "bind":
    case "unbind":
      return {
        do: pick.kind,
        slot,
        queue: shortQueue,
        exchange: c % 31 === 2 ? "" : exchange,
        routingKey: KEYS[c % KEYS.length] ?? "",
      };
    case "publish":
    case "burst": {
      const direct = c % 3 !== 0;
      const { expirations } = profile;
      const expiration = expirations[b % expirations.length];
      return {
        do: "publish",
        slot,
        exchange: direct ? "" : exchange,
        routingKey: direct ? queue : KEYS[a % 5] ?? "",
        bodies: Array.from({ length: pick.kind === "burst" ? 2 + (b % 5) : 1 }, (_, at) => `${body}.${at}`),
        mandatory: b % 2 === 0,
        ...(a % 4 === 0 ? { priority: b % 6 } : {}),
        ...(c % 5 === 2 && expiration !== undefined ? { expiration } : {}),
        ...(b % 7 === 0 ? { persistent: true } : {}),
      };
    }
    case "badExpiration": {
      const expiration = ["-1", "x", "1e3", "1.5", "5 ", "+60000", "060000", "315360000001"][a % 8] ?? "";
      return {
        do: "publish",
        slot,
        exchange: "",
        routingKey: queue,
        bodies: [body],
        mandatory: false,
        expiration,
      };
    }
    case "qos":
      return { do: "qos", slot, prefetch: a % 4 };
    case "consume":
      return {
        do: "consume",
        slot,
        queue: shortQueue,
        tag: free[b % Math.max(1, free.length)] ?? "t3",
        noAck: c % 6 === 1,
        exclusive: c % 9 === 2,
        ...(c % 7 === 3 ? { priority: (a % 5) - 2 } : {}),
      };
    case "cancel":
      return { do: "cancel", slot, tag: tags[b % 3] ?? "" };
    case "get":
      return { do: "get", slot, queue: shortQueue, noAck: c % 4 === 0 };
    case "ack":
    case "nack":
    case "reject": {
      // A channel that holds something, this one if it does.
      const holder = Array.from({ length: SLOTS }, (_, at) => (slot + at) % SLOTS).find((one) =>
        model.outstanding(one).length > 0
      );
      if (holder === undefined) return { do: "get", slot, queue, noAck: false };
      const held = model.outstanding(holder);
      const multiple = pick.kind !== "reject" && b % 2 === 0;
      const deliveryTag = multiple && c % 5 === 0 ? 0 : held[a % held.length] ?? 0;
      return { do: pick.kind, slot: holder, deliveryTag, multiple, requeue: c % 3 !== 0 };
    }
    case "badTag": {
      const how: SettleStep["do"] = (["ack", "nack", "reject"] as const)[a % 3] ?? "ack";
      const deliveryTag = badTag(pick, model);
      return { do: how, slot, deliveryTag, multiple: how !== "reject" && a % 2 === 0, requeue: true };
    }
    default:
      return { do: pick.kind as "confirm" | "recover" | "close" | "closeConnection" | "drop", slot };
  }
}

/** The slots of a slot's connection. */
export function slotsOf(slot: number): readonly [number, number] {
  const first = 2 * connectionOf(slot);
  return [first, first + 1];
}
