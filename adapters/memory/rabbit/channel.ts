/**
 * A channel: its deliveries that wait for an ack, its consumers, its confirms.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { Fault } from "./fault.ts";
import type { Queue } from "./queue.ts";
import type { Rabbit } from "./rabbit.ts";
import type { Entry } from "./ready.ts";
import type { Timed } from "./timers.ts";
import type { Consumer } from "./turns.ts";

/** A delivery that was not settled yet; a link of the chain of all of them, oldest first. */
export interface Outstanding {
  readonly tag: number;
  readonly entry: Entry;
  readonly queue: Queue;
  /** The consumer's tag; undefined for a `basic.get`. */
  readonly consumerTag: string | undefined;
  readonly at: number;
  older: Outstanding | undefined;
  newer: Outstanding | undefined;
}

/** A channel. */
export class Channel implements Timed {
  armed: number = Infinity;
  open = true;
  /** The prefetch of consumers to come; 0 is none. */
  prefetch = 0;
  /** The number of the last confirmed publish; undefined while confirms are not selected. */
  published: number | undefined;
  /** The queue declared last, which the name "" stands for. */
  lastQueue: string | undefined;
  readonly id: number;
  readonly connection: Connection;
  readonly consumers: Map<string, Consumer> = new Map<string, Consumer>();
  readonly #rabbit: Rabbit;
  readonly #openedAt: number;
  readonly #byTag: Map<number, Outstanding> = new Map<number, Outstanding>();
  #oldest: Outstanding | undefined;
  #newest: Outstanding | undefined;
  #nextTag = 1;

  constructor(rabbit: Rabbit, connection: Connection, id: number) {
    this.#rabbit = rabbit;
    this.connection = connection;
    this.id = id;
    this.#openedAt = rabbit.now;
  }

  /** Unsettled deliveries. */
  get unacked(): number {
    return this.#byTag.size;
  }

  /** The unsettled deliveries, oldest first. */
  *outstanding(): IterableIterator<Outstanding> {
    for (let one = this.#oldest; one !== undefined; one = one.newer) yield one;
  }

  deliver(consumer: Consumer, entry: Entry): void {
    const deliveryTag = this.note(entry, consumer.queue, consumer.tag, consumer.noAck);
    this.#rabbit.emit({
      is: "basic.deliver",
      connection: this.connection.id,
      channel: this.id,
      consumerTag: consumer.tag,
      deliveryTag,
      redelivered: entry.redelivered,
      exchange: entry.exchange,
      routingKey: entry.routingKey,
      message: entry.message,
    });
  }

  /** Gives a delivery its tag and, unless `noAck`, keeps it until it is settled. */
  note(entry: Entry, queue: Queue, consumerTag: string | undefined, noAck: boolean): number {
    const tag = this.#nextTag++;
    if (noAck) return tag;
    const one: Outstanding = {
      tag,
      entry,
      queue,
      consumerTag,
      at: this.#rabbit.now,
      older: this.#newest,
      newer: undefined,
    };
    if (this.#newest === undefined) this.#oldest = one;
    else this.#newest.newer = one;
    this.#newest = one;
    this.#byTag.set(tag, one);
    if (this.armed === Infinity) this.#rabbit.timers.arm(this);
    return tag;
  }

  /**
   * Takes out what an ack or nack names, oldest first. The tag must be outstanding itself, also with `multiple`; only 0 with `multiple`
   * means all and never fails.
   */
  release(tag: number, multiple: boolean): readonly Outstanding[] {
    if (multiple && tag === 0) return this.releaseAll();
    const named = this.#byTag.get(tag);
    if (named === undefined) throw new Fault(406, `unknown delivery tag ${tag}`);
    if (!multiple) {
      this.#unlink(named);
      return [named];
    }
    const released: Outstanding[] = [];
    for (let one = this.#oldest; one !== undefined && one.tag <= tag; one = this.#oldest) {
      this.#unlink(one);
      released.push(one);
    }
    return released;
  }

  releaseAll(): readonly Outstanding[] {
    const released: Outstanding[] = [];
    for (let one = this.#oldest; one !== undefined; one = one.newer) released.push(one);
    this.#byTag.clear();
    this.#oldest = undefined;
    this.#newest = undefined;
    return released;
  }

  /** RabbitMQ looks at its channels once a tick and closes one whose oldest delivery is older than `consumer_timeout`. */
  due(): number {
    const { consumerTimeout, channelTick } = this.#rabbit.limits;
    if (!this.open || this.#oldest === undefined) return Infinity;
    const over = this.#oldest.at + consumerTimeout + 1 - this.#openedAt;
    return this.#openedAt + Math.ceil(over / channelTick) * channelTick;
  }

  fire(now: number): void {
    if (this.due() > now) return;
    this.#rabbit.fail(
      this,
      new Fault(
        406,
        `delivery acknowledgement on channel ${this.id} timed out. Timeout value used: ${this.#rabbit.limits.consumerTimeout} ms`,
      ),
    );
  }

  #unlink(one: Outstanding): void {
    this.#byTag.delete(one.tag);
    if (one.older === undefined) this.#oldest = one.newer;
    else one.older.newer = one.newer;
    if (one.newer === undefined) this.#newest = one.older;
    else one.newer.older = one.older;
  }
}
