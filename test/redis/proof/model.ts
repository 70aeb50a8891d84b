/**
 * What each step of a consumer does to the places of messages: the scripts of ours and the commands of kombu, as plain functions of a world.
 *
 * @module
 */
import { stepIndex, STEPS } from "../../../adapters/redis/kombu.ts";
import { MOST, type Want } from "../../../adapters/redis/lease/claim.ts";
import { type LeaseKeys, parkedTag, stemOf, tagOf } from "../../../adapters/redis/lease/keys.ts";
import { emptyWorld, type Held, listFor, placesOf, type World } from "./world.ts";

/** A message that was published. */
export interface Letter {
  readonly number: number;
  /** The queue that its route leads to. */
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly priority: number;
  /** Live: it must be somewhere. Settled: it must be nowhere. Lost: kombu lost it, in its own way. */
  fate: "live" | "settled" | "lost";
}

/** What a claim takes. */
export interface Taken {
  readonly tag: string;
  readonly message: number;
  readonly queue: string;
  readonly step: number;
}

/** How a delivery of ours ends. */
export type End = { readonly as: "ack" } | { readonly as: "back" } | {
  readonly as: "park";
  readonly until: number;
  readonly returned: boolean;
};

/** See the module. */
export class Model {
  readonly letters: Letter[] = [];
  readonly keys: LeaseKeys;
  world: World;

  constructor(queues: readonly string[], keys: LeaseKeys) {
    this.keys = keys;
    this.world = emptyWorld(queues, keys);
  }

  publish(letter: Omit<Letter, "number" | "fate">): void {
    const number = this.letters.length;
    this.letters.push({ ...letter, number, fate: "live" });
    this.list(listFor(this.keys, letter.queue, letter.priority)).push(number);
  }

  list(key: string): number[] {
    const list = this.world.lists.get(key);
    if (list === undefined) throw new Error(`no list ${key}`);
    return list;
  }

  letter(number: number): Letter {
    return this.letters[number] as Letter;
  }

  /** The queue and step into which an entry is restored by our sweep. */
  homeOf({ message, exchange, routingKey }: Held): string {
    const { priority, queue } = this.letter(message);
    return listFor(this.keys, exchange === "" ? routingKey : queue, priority);
  }

  claim(
    id: string,
    first: number,
    wants: readonly Want[],
    now: number,
  ): { readonly taken: readonly Taken[]; readonly again: boolean; readonly next: number } {
    const { beats, held, parked } = this.world;
    const said = beats.get(id) ?? "";
    let reached = first;
    if (said !== "") reached = Number(said);
    else {
      for (let number = first; number < first + MOST; number++) {
        if (held.has(tagOf(id, number))) reached = number + 1;
      }
    }
    beats.set(id, String(Math.max(first, reached)));
    if (reached > first) {
      const taken: Taken[] = [];
      for (let number = first; number < reached; number++) {
        const tag = tagOf(id, number);
        const entry = held.get(tag);
        if (entry === undefined) continue;
        const { message, routingKey: queue } = entry;
        taken.push({ tag, message, queue, step: stepIndex(this.letter(message).priority) });
      }
      return { taken, again: true, next: reached };
    }
    for (const { queue, most } of wants) {
      const due = [...parked.get(queue) ?? []].filter(([, until]) => until <= now).sort(byInstant).slice(
        0,
        most,
      );
      for (const [tag] of due.reverse()) {
        parked.get(queue)?.delete(tag);
        const entry = held.get(tag);
        if (entry === undefined) continue;
        held.delete(tag);
        this.list(this.keys.list(queue, Number(tag.split(":")[2]))).unshift(entry.message);
      }
    }
    const left = new Map(wants.map(({ queue, most }) => [queue, most]));
    const taken: Taken[] = [];
    for (let step = 0; step < STEPS.length; step++) {
      for (const { queue } of wants) {
        const list = this.list(this.keys.list(queue, step));
        for (const message of list.splice(0, left.get(queue))) {
          const tag = tagOf(id, first + taken.length);
          this.world.held.set(tag, { message, exchange: "", routingKey: queue, score: now });
          taken.push({ tag, message, queue, step });
          left.set(queue, (left.get(queue) ?? 0) - 1);
        }
      }
    }
    const next = first + taken.length;
    beats.set(id, String(next));
    return { taken, again: false, next };
  }

  /** False: it was somebody else's by now, and nothing is done. */
  settle({ tag, queue, step }: Omit<Taken, "message">, end: End): boolean {
    const entry = this.world.held.get(tag);
    if (entry === undefined) return false;
    this.world.held.delete(tag);
    if (end.as === "ack") this.letter(entry.message).fate = "settled";
    else if (end.as === "back") this.list(this.keys.list(queue, step)).unshift(entry.message);
    else {
      const other = parkedTag(tag, step);
      this.world.held.set(other, { ...entry, score: end.until });
      this.world.parked.get(queue)?.set(other, end.until);
    }
    return true;
  }

  /** The tags that are gone. */
  renew(id: string, tags: readonly string[], now: number): string[] {
    const { beats, held } = this.world;
    beats.set(id, beats.get(id) ?? "");
    return tags.filter((tag) => {
      const entry = held.get(tag);
      if (entry !== undefined) held.set(tag, { ...entry, score: now });
      return entry === undefined;
    });
  }

  /** kombu's `QoS.append`. */
  append(tag: string, message: number, now: number): void {
    const { exchange, routingKey } = this.letter(message);
    this.world.held.set(tag, { message, exchange, routingKey, score: now });
  }

  /** kombu's ack, and its reject without requeue: whoever holds the message under this tag. */
  acked(tag: string): void {
    const entry = this.world.held.get(tag);
    this.world.held.delete(tag);
    this.world.strays.delete(tag);
    if (entry !== undefined) this.letter(entry.message).fate = "settled";
  }

  /** kombu's `restore_by_tag`: always into the list of the most urgent. */
  restored(tag: string, back = false): boolean {
    const entry = this.world.held.get(tag);
    this.world.held.delete(tag);
    this.world.strays.delete(tag);
    if (entry === undefined) return false;
    const { message, exchange, routingKey } = entry;
    const list = this.list(this.keys.list(exchange === "" ? routingKey : this.letter(message).queue, 0));
    if (back) list.push(message);
    else list.unshift(message);
    return true;
  }

  /** What kombu's sweep sees, in its order; at most ten. */
  visible(before: number): string[] {
    const { held, strays } = this.world;
    return [...[...held].map(([tag, { score }]) => [tag, score] as const), ...strays]
      .filter(([, score]) => score <= before).sort(byInstant).reverse().slice(0, 10).map(([tag]) => tag);
  }

  /** Why this world cannot be: a live message in no place or in two, or one that is somewhere though it must not be. */
  faults(world: World, elsewhere: ReadonlySet<number>): string[] {
    const places = placesOf(world);
    const found: string[] = [];
    for (const { number, fate } of this.letters) {
      const at = places.get(number) ?? [];
      const wanted = fate === "live" && !elsewhere.has(number) ? 1 : 0;
      if (at.length !== wanted) {
        found.push(`message ${number} (${fate}) is in ${at.length} places: ${at.join(", ")}`);
      }
      places.delete(number);
    }
    for (const [number, at] of places) found.push(`message ${number} was never published: ${at.join(", ")}`);
    return found;
  }
}

/** The consumer of ours whose tag this is; undefined for a parked message, and for kombu's. */
export function ownerOf(tag: string, consumers: readonly string[]): string | undefined {
  return consumers.find((id) => tag.startsWith(stemOf(id)));
}

/** As Redis sorts: by instant, then by bytes. */
export function byInstant(a: readonly [string, number], b: readonly [string, number]): number {
  return a[1] - b[1] || (a[0] < b[0] ? -1 : 1);
}
