/**
 * The ready messages of one queue in the order in which RabbitMQ's classic queues serve them: highest priority first, and within a
 * priority by publication, wherever a returned message stood before.
 *
 * @module
 */
import type { Message } from "../../../src/broker.ts";
import { Heap } from "./heap.ts";
import { Ring } from "./ring.ts";

/** One message in one queue. */
export interface Entry {
  /** Its place in the queue's publications; a requeue keeps it. */
  readonly seq: number;
  readonly message: Message;
  readonly exchange: string;
  readonly routingKey: string;
  /** Already cut to the queue's `x-max-priority`. */
  readonly priority: number;
  /** The instant of its end, ms since the epoch; Infinity when it has none. A requeue keeps it. */
  readonly expiry: number;
  /** Whether it was handed to somebody before. */
  redelivered: boolean;
}

class Level {
  /** Never handed out: their seqs only grow. */
  readonly fresh: Ring<Entry> = new Ring<Entry>();
  /** Handed out and back. All of them are older than all fresh ones, since a level is served by seq. */
  readonly returned: Heap<Entry> = new Heap<Entry>((a, b) => a.seq < b.seq);

  get empty(): boolean {
    return this.fresh.size === 0 && this.returned.size === 0;
  }
}

/** The ready messages of one queue. */
export class Ready {
  readonly #levels: Level[];
  /** No level above this one has messages. */
  #top = 0;
  #size = 0;
  #bytes = 0;

  constructor(maxPriority: number) {
    this.#levels = Array.from({ length: maxPriority + 1 }, () => new Level());
  }

  get size(): number {
    return this.#size;
  }

  /** The sum of the bodies' bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  push(entry: Entry): void {
    this.#level(entry).fresh.push(entry);
    this.#counted(entry);
  }

  giveBack(entry: Entry): void {
    this.#level(entry).returned.push(entry);
    this.#counted(entry);
  }

  /** The next one. */
  peek(): Entry | undefined {
    const level = this.#highest();
    return level.returned.peek() ?? level.fresh.peek();
  }

  shift(): Entry | undefined {
    if (this.#size === 0) return undefined;
    const level = this.#highest();
    const entry = level.returned.size > 0 ? level.returned.pop() : level.fresh.shift();
    if (entry !== undefined) {
      this.#size--;
      this.#bytes -= entry.message.body.byteLength;
    }
    return entry;
  }

  /** Takes out all that `keep` does not want, in any order. */
  filter(keep: (entry: Entry) => boolean): void {
    for (const level of this.#levels) {
      const kept = [...level.returned, ...level.fresh].filter(keep).sort((a, b) => a.seq - b.seq);
      const [returned, fresh] = [
        kept.filter((entry) => entry.redelivered),
        kept.filter((entry) => !entry.redelivered),
      ];
      level.returned.clear();
      level.fresh.clear();
      for (const entry of returned) level.returned.push(entry);
      for (const entry of fresh) level.fresh.push(entry);
    }
    this.#size = 0;
    this.#bytes = 0;
    for (const entry of this) {
      this.#size++;
      this.#bytes += entry.message.body.byteLength;
    }
  }

  clear(): void {
    for (const level of this.#levels) {
      level.fresh.clear();
      level.returned.clear();
    }
    this.#top = 0;
    this.#size = 0;
    this.#bytes = 0;
  }

  /** In no order that means anything. */
  *[Symbol.iterator](): IterableIterator<Entry> {
    for (const level of this.#levels) {
      yield* level.returned;
      yield* level.fresh;
    }
  }

  #level(entry: Entry): Level {
    if (entry.priority > this.#top) this.#top = entry.priority;
    return this.#levels[entry.priority] as Level;
  }

  #counted(entry: Entry): void {
    this.#size++;
    this.#bytes += entry.message.body.byteLength;
  }

  #highest(): Level {
    let level = this.#levels[this.#top] as Level;
    while (this.#top > 0 && level.empty) level = this.#levels[--this.#top] as Level;
    return level;
  }
}
