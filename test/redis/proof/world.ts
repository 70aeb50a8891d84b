/**
 * Where every message is: in a list, or held under a tag. The model of it, and what really stands in Redis.
 *
 * @module
 */
import type { Redis } from "ioredis";
import { stepIndex, STEPS } from "../../../adapters/redis/kombu.ts";
import type { LeaseKeys } from "../../../adapters/redis/lease/keys.ts";

/** An entry of `unacked`. */
export interface Held {
  /** The number of the message. */
  readonly message: number;
  readonly exchange: string;
  readonly routingKey: string;
  /** Its instant in `unacked_index`, ms; NaN where it has none. */
  readonly score: number;
}

/** All places. */
export interface World {
  /** By key: the numbers of the messages, the next one first. */
  readonly lists: Map<string, number[]>;
  readonly held: Map<string, Held>;
  /** Tags of `unacked_index` without an entry. */
  readonly strays: Map<string, number>;
  /** By queue: tags and instants, ms. */
  readonly parked: Map<string, Map<string, number>>;
  /** What the beat of each consumer that lives says: the number of its next claim, or nothing. */
  readonly beats: Map<string, string>;
}

/** An empty one. */
export function emptyWorld(queues: readonly string[], keys: LeaseKeys): World {
  return {
    lists: new Map(queues.flatMap((queue) => keys.lists(queue)).map((key) => [key, []])),
    held: new Map(),
    strays: new Map(),
    parked: new Map(queues.map((queue) => [queue, new Map<string, number>()])),
    beats: new Map(),
  };
}

/** A copy to change. */
export function copyOf(world: World): World {
  return structuredClone(world) as World;
}

/** Every place of every message: one name for each. */
export function placesOf({ lists, held }: World): Map<number, string[]> {
  const places = new Map<number, string[]>();
  const add = (message: number, place: string): void => {
    const known = places.get(message);
    if (known === undefined) places.set(message, [place]);
    else known.push(place);
  };
  for (const [key, messages] of lists) for (const message of messages) add(message, key);
  for (const [tag, { message }] of held) add(message, tag);
  return places;
}

/** As text, for comparing and for telling; what kombu leaves behind of itself is no part of it. */
export function describeWorld({ lists, held, strays, parked, beats }: World): string {
  const lines = [
    ...[...lists].filter(([, messages]) => messages.length > 0).map(([key, messages]) =>
      `${shown(key)}: ${messages.join(" ")}`
    ),
    ...[...held].map(([tag, { message, exchange, routingKey, score }]) =>
      `${tag}: ${message} (${exchange}/${routingKey}) at ${score}`
    ),
    ...[...strays].map(([tag, score]) => `${tag}: no entry, at ${score}`),
    ...[...parked].flatMap(([queue, tags]) =>
      [...tags].map(([tag, until]) => `parked in ${queue}: ${tag} until ${until}`)
    ),
    ...[...beats].map(([consumer, said]) => `beat of ${consumer}: ${said}`),
  ];
  return lines.sort().join("\n");
}

/** Reads worlds, each in one step on the server. */
export class WorldReader {
  readonly #redis: Redis;
  readonly #queues: readonly string[];
  readonly #keys: LeaseKeys;
  /** Envelopes as they were read: the same text is one message. */
  readonly #known: Map<string, number> = new Map();

  constructor(redis: Redis, queues: readonly string[], keys: LeaseKeys) {
    this.#redis = redis;
    this.#queues = queues;
    this.#keys = keys;
  }

  async read(consumers: readonly string[]): Promise<World> {
    const keys = this.#keys;
    const lists = this.#queues.flatMap((queue) => keys.lists(queue));
    const asked = this.#redis.multi();
    for (const key of lists) asked.lrange(key, 0, -1);
    for (const queue of this.#queues) asked.zrange(keys.parked(queue), "0", "-1", "WITHSCORES");
    for (const consumer of consumers) asked.get(keys.beat(consumer));
    const answers = await asked.hgetall(keys.unacked).zrange(keys.index, "0", "-1", "WITHSCORES").exec();
    const values = (answers ?? []).map(([error, value]) => {
      if (error !== null) throw error;
      return value;
    });
    const index = new Map(pairsOf(values.pop()).map(([tag, score]) => [tag, msOf(score)]));
    const entries = Object.entries(values.pop() as Record<string, string>);
    const beats = values.splice(-consumers.length, consumers.length) as (string | null)[];
    const world = emptyWorld(this.#queues, keys);
    for (const key of lists) {
      const texts = values.shift() as string[];
      world.lists.set(key, texts.reverse().map((text) => this.#numberOf(text)));
    }
    for (const queue of this.#queues) {
      world.parked.set(queue, new Map(pairsOf(values.shift()).map(([tag, score]) => [tag, msOf(score)])));
    }
    consumers.forEach((consumer, at) => {
      const said = beats[at];
      if (typeof said === "string") world.beats.set(consumer, said);
    });
    for (const [tag, text] of entries) {
      const [message, exchange, routingKey] = JSON.parse(text) as [unknown, string, string];
      const score = index.get(tag) ?? NaN;
      index.delete(tag);
      world.held.set(tag, { message: numberIn(message), exchange, routingKey, score });
    }
    for (const [tag, score] of index) world.strays.set(tag, score);
    return world;
  }

  #numberOf(text: string): number {
    let number = this.#known.get(text);
    if (number === undefined) this.#known.set(text, number = numberIn(JSON.parse(text)));
    return number;
  }
}

/** Which list of its queue is for a message of this priority. */
export function listFor(keys: LeaseKeys, queue: string, priority: number): string {
  return keys.list(queue, stepIndex(priority));
}

/** The number of the message in an envelope: its body is the number as JSON. */
function numberIn(envelope: unknown): number {
  return Number(JSON.parse(atob((envelope as { readonly body: string }).body)));
}

/** A flat list of members and scores, in twos. */
function pairsOf(flat: unknown): (readonly [member: string, score: string])[] {
  const list = flat as string[];
  return Array.from({ length: list.length / 2 }, (_, at) => [list[2 * at] ?? "", list[2 * at + 1] ?? ""]);
}

function msOf(score: string): number {
  return Math.round(Number(score) * 1000);
}

function shown(key: string): string {
  const step = STEPS.findLast((one) => key.endsWith(one)) ?? "";
  return step === "" ? key : `${key.slice(0, -step.length)} step ${step.slice(-1)}`;
}
