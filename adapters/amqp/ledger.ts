/**
 * What one channel has to settle: deliveries until their settlement is written.
 *
 * @module
 */
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import type { Clock } from "../../src/lib/port.ts";
import type { AmqpDelivery } from "./delivery.ts";
import type { Outbox } from "./outbox.ts";
import { writeAck, writeNack } from "./settle.ts";

/** RabbitMQ's channel keeps settlements of a quorum queue back while more than this many are under way, and drops them when it closes. */
const UNDER_WAY = 32;

/** How long they may be under way, ms: the queue writes them to its disk first, and no answer says when. */
const WRITING = 250;

/** The deliveries of one channel. */
export class Ledger {
  readonly #out: Outbox;
  readonly #channel: number;
  readonly #clock: Clock;
  /** Unsettled, or settled and not yet written; by tag, ascending. */
  readonly #outstanding: Map<number, AmqpDelivery> = new Map();
  #acks: number[] = [];
  /** What the acks of this turn of the event loop learn. */
  #turn: Deferred<"settled" | "stale"> | undefined;
  /** Settlements written, each less than `WRITING` after the one before; and when the last one was. */
  #burst = 0;
  #wroteAt = 0;

  constructor(out: Outbox, channel: number, clock: Clock) {
    this.#out = out;
    this.#channel = channel;
    this.#clock = clock;
  }

  /** How many are not settled, or their settlement is not written. */
  get size(): number {
    return this.#outstanding.size;
  }

  add(delivery: AmqpDelivery): void {
    this.#outstanding.set(delivery.tag, delivery);
  }

  /** Takes an ack, which the next `flush` writes. */
  ack(delivery: AmqpDelivery): Promise<"settled" | "stale"> {
    delivery.acked = true;
    this.#acks.push(delivery.tag);
    return (this.#turn ??= deferred()).promise;
  }

  /** Writes a nack at once. */
  nack({ tag }: AmqpDelivery, requeue: boolean): void {
    this.#outstanding.delete(tag);
    this.#wrote(1);
    writeNack(this.#out, this.#channel, tag, requeue);
  }

  /** Writes the acks of this turn: one for all up to a tag where every older one is acked, else one each. */
  flush(): void {
    if (this.#acks.length === 0) return;
    const acks = this.#acks;
    this.#acks = [];
    let last = 0;
    let run = 0;
    for (const [tag, { acked }] of this.#outstanding) {
      if (!acked) break;
      this.#outstanding.delete(tag);
      last = tag;
      run++;
    }
    // RabbitMQ closes the channel where the tag of a multiple ack is not outstanding: this one is.
    if (run > 0) writeAck(this.#out, this.#channel, last, run > 1);
    this.#wrote(acks.length - run + 1);
    if (run < acks.length) {
      for (const tag of acks) {
        if (tag <= last) continue;
        this.#outstanding.delete(tag);
        writeAck(this.#out, this.#channel, tag, false);
      }
    }
    this.#learn("settled");
  }

  /** The broker answered: what was written before it is worked through. */
  answered(): void {
    this.#burst = 0;
  }

  /** How long the broker may still be writing what was settled last, ms. */
  writing(): number {
    return this.#burst > UNDER_WAY ? Math.max(0, this.#wroteAt + WRITING - this.#clock.now()) : 0;
  }

  /** The channel is gone, and all that was not written with it. */
  lose(): void {
    this.#outstanding.clear();
    this.#acks = [];
    this.#learn("stale");
  }

  /** Counts settlements, those of one turn as often as frames are written for them. */
  #wrote(count: number): void {
    const now = this.#clock.now();
    this.#burst = count + (now - this.#wroteAt < WRITING ? this.#burst : 0);
    this.#wroteAt = now;
  }

  #learn(fate: "settled" | "stale"): void {
    this.#turn?.resolve(fate);
    this.#turn = undefined;
  }
}
