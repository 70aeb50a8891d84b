/**
 * One delivered message and its one settlement.
 *
 * @module
 */
import type { AMQPMessage } from "@cloudamqp/amqp-client";
import type { Delivery, Message, Settlement } from "../../src/broker.ts";
import { CeleriacError, PublishError } from "../../src/errors.ts";
import { attemptsOf, readMessage } from "./message.ts";
import { firstRoute, isReturned, type Parking, unmarked } from "./parking.ts";

/** The channel that a delivery came by, as the delivery sees it. */
export interface Origin {
  readonly queue: string;
  readonly lost: boolean;
  /** Keeps copies for later. */
  readonly parking: Parking;
  /** Sends the settlement with the others of this turn; an ack resolves when it has left, "stale" where the link went first. */
  settle(delivery: AmqpDelivery, how: "ack" | "reject" | "requeue"): Promise<"settled" | "stale">;
  /** Calls `listener` when the channel is lost while the delivery is not settled. */
  watch(delivery: AmqpDelivery, listener: () => void): () => void;
  /** A copy has taken its place: it is acked, and who watches it is told that it is lost. */
  replace(delivery: AmqpDelivery): void;
}

/** On its way to the broker. */
export const SETTLED: Promise<"settled"> = Promise.resolve("settled");
const STALE: Promise<"stale"> = Promise.resolve("stale");
const NOTHING: Disposable = { [Symbol.dispose]() {} };

/** A delivery of RabbitMQ. */
export class AmqpDelivery implements Delivery {
  readonly #origin: Origin;
  readonly #raw: AMQPMessage;
  #message: Message | undefined;
  #settled = false;
  /** Whether a copy that waits has taken its place. */
  #replaced = false;
  /** Whether it is acked and the frame not yet written. */
  acked = false;

  constructor(origin: Origin, raw: AMQPMessage) {
    this.#origin = origin;
    this.#raw = raw;
  }

  /** The broker's number for it on its channel. */
  get tag(): number {
    return this.#raw.deliveryTag;
  }

  get origin(): Origin {
    return this.#origin;
  }

  get message(): Message {
    return this.#message ??= unmarked(readMessage(this.#raw));
  }

  get queue(): string {
    return this.#origin.queue;
  }

  get route(): { readonly exchange: string; readonly routingKey: string; readonly priority: number } {
    const { exchange, routingKey, properties: { headers, priority = 0 } } = this.#raw;
    const first = firstRoute(headers);
    return first === undefined
      ? { exchange, routingKey, priority }
      : { exchange: first[0], routingKey: first[1], priority };
  }

  get redelivered(): boolean {
    return this.#raw.redelivered || isReturned(this.#raw.properties.headers);
  }

  get attempts(): number | undefined {
    return attemptsOf(this.#raw);
  }

  settle(how: Settlement): Promise<"settled" | "stale"> {
    if (this.#settled) throw new CeleriacError("delivery-settled", "This delivery was settled before.");
    const until = how.as === "park" ? how.until : how.as === "requeue" ? how.notBefore : undefined;
    const wait = until === undefined ? 0 : this.#origin.parking.delay(until);
    this.#settled = true;
    if (this.#isLost) return STALE;
    if (until !== undefined && wait > 0) {
      return this.#park(until, how.as === "requeue" || isReturned(this.#raw.properties.headers));
    }
    return this.#origin.settle(this, how.as === "park" ? "requeue" : how.as);
  }

  /** A copy is confirmed first, then this one acked: in between there are two, never none. */
  async #park(until: number, returned: boolean): Promise<"settled" | "stale"> {
    const problem = await this.#origin.parking.park(this, until, returned, () => {
      // The copy that was given up waits after all: of two, this one goes, unless it has its end.
      if (this.#settled || this.#isLost) return;
      this.#replaced = true;
      this.#origin.replace(this);
    });
    if (this.#origin.lost) return "stale";
    if (problem === undefined) return await this.#origin.settle(this, "ack");
    this.#settled = false;
    throw new PublishError("park-failed", `The copy that was to wait was not confirmed: ${problem}.`, {
      hint: "The delivery is still held and can be settled.",
    });
  }

  get #isLost(): boolean {
    return this.#replaced || this.#origin.lost;
  }

  onLost(listener: () => void): Disposable {
    if (this.#settled) return NOTHING;
    if (this.#isLost) {
      listener();
      return NOTHING;
    }
    return { [Symbol.dispose]: this.#origin.watch(this, listener) };
  }
}
