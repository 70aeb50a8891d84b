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

  get size(): number {
    return this.#all.size;
  }

  add(consumer: Consumer): void {
    this.#all.add(consumer);
    this.#ring(consumer.priority).push(consumer);
  }

  remove(consumer: Consumer): void {
    consumer.cancelled = true;
    this.#all.delete(consumer);
  }

  /** The one who gets the next message, with one credit less; undefined when none has credit. */
  next(): Consumer | undefined {
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
