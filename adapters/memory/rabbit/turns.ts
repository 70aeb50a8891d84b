/**
 * Whose turn it is: the consumers of one queue, higher priority first and round robin within one, as `rabbit_queue_consumers` does it.
 *
 * @module
 */
import type { Channel } from "./channel.ts";
import type { Queue } from "./queue.ts";
import { Ring } from "./ring.ts";

/** One consumer. */
export interface Consumer {
  readonly tag: string;
  readonly channel: Channel;
  readonly queue: Queue;
  readonly noAck: boolean;
  readonly priority: number;
  /** How many more it may get; Infinity without a prefetch. */
  credit: number;
  /** Out of the turns until it has credit again. RabbitMQ notices a lack of credit only when its turn comes. */
  blocked: boolean;
  cancelled: boolean;
}

/** The consumers of one queue. */
export class Turns {
  /** By priority, highest first. */
  readonly #levels: { readonly priority: number; readonly ring: Ring<Consumer> }[] = [];
  readonly #all: Set<Consumer> = new Set<Consumer>();
  readonly #single: boolean;
  #active: Consumer | undefined;

  /** With `single` one consumer gets everything until it leaves (`x-single-active-consumer`). */
  constructor(single = false) {
    this.#single = single;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Whether nobody may ask to be the only one. */
  get single(): boolean {
    return this.#single;
  }

  add(consumer: Consumer): void {
    this.#all.add(consumer);
    this.#active ??= consumer;
    this.#ring(consumer.priority).push(consumer);
  }

  remove(consumer: Consumer): void {
    consumer.cancelled = true;
    this.#all.delete(consumer);
    if (this.#active === consumer) this.#active = this.#first();
  }

  /** The one who gets the next message, with one credit less; undefined when none has credit. */
  next(): Consumer | undefined {
    if (this.#single) return this.#onlyOne();
    for (const { ring } of this.#levels) {
      for (let consumer = ring.shift(); consumer !== undefined; consumer = ring.shift()) {
        if (consumer.cancelled) continue;
        if (consumer.credit > 0) {
          consumer.credit--;
          ring.push(consumer);
          return consumer;
        }
        consumer.blocked = true;
      }
    }
    return undefined;
  }

  /** Gives credit back; whoever was blocked stands last in line again. */
  credit(consumer: Consumer, count: number): void {
    consumer.credit += count;
    if (!consumer.blocked || consumer.cancelled) return;
    consumer.blocked = false;
    this.#ring(consumer.priority).push(consumer);
  }

  [Symbol.iterator](): IterableIterator<Consumer> {
    return this.#all.values();
  }

  /** Whoever is active keeps its turn, credit or not. */
  #onlyOne(): Consumer | undefined {
    const active = this.#active;
    if (active === undefined || active.credit === 0) return undefined;
    active.credit--;
    return active;
  }

  /** The highest and then the longest here. */
  #first(): Consumer | undefined {
    let first: Consumer | undefined;
    for (const consumer of this.#all) {
      if (first === undefined || consumer.priority > first.priority) first = consumer;
    }
    return first;
  }

  #ring(priority: number): Ring<Consumer> {
    let at = 0;
    for (; at < this.#levels.length; at++) {
      const level = this.#levels[at];
      if (level === undefined || level.priority < priority) break;
      if (level.priority === priority) return level.ring;
    }
    const ring = new Ring<Consumer>();
    this.#levels.splice(at, 0, { priority, ring });
    return ring;
  }
}
