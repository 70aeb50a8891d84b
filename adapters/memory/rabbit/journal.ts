/**
 * What a durable queue has settled and may not have written down yet: when the server dies, that is undone.
 *
 * @module
 */
import type { Entry } from "./ready.ts";
import { Ring } from "./ring.ts";

/** RabbitMQ's classic queues write settlements down when they have heard nothing for so long, ms: when they die before that, these are undone. */
const WRITTEN_AFTER = 200;
/** So many of a queue wait for that at most, where it never rests: RabbitMQ's journal has an end, too. */
const MOST_UNWRITTEN = 1000;

/** A settlement. */
export interface Settled {
  readonly entry: Entry;
  readonly as: "acked" | "rejected";
}

/** See the module. `now` is ms since the epoch. */
export class Journal {
  /** Oldest first. */
  readonly #lately: Ring<Settled> = new Ring<Settled>();
  /** When the queue last heard anything. */
  #heardAt = 0;

  /** Whatever the queue hears, it has not rested: what it settled before waits on, unless it had rested by then. */
  hear(now: number): void {
    this.unwritten(now);
    this.#heardAt = now;
  }

  /** The queue settled this. */
  add(settled: Settled): void {
    this.#lately.push(settled);
    if (this.#lately.size > MOST_UNWRITTEN) this.#lately.shift();
  }

  /** What may not be written down, oldest first. */
  unwritten(now: number): Iterable<Settled> {
    if (this.#lately.size > 0 && now - this.#heardAt >= WRITTEN_AFTER) this.written();
    return this.#lately;
  }

  /** All of it is written down now. */
  written(): void {
    this.#lately.clear();
  }
}
