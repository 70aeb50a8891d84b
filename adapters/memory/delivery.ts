/**
 * One delivery and its settlement.
 *
 * @module
 */
import type { Delivery, Message, Outgoing, Settlement, Verdict } from "../../src/broker.ts";
import { CeleriacError, ConfigurationError, PublishError } from "../../src/errors.ts";
import { tell } from "../../src/lib/observers.ts";
import { copyMessage, firstRoute, isReturned, reborn, unmarked } from "./message.ts";
import type { Deliver } from "./rabbit/event.ts";
import type { ClientChannel } from "./session.ts";

/** What a delivery needs of the consumer's lane that it came by. */
export interface Lane {
  readonly queue: string;
  readonly channel: ClientChannel;
  /** Deliveries that want to be told of the lane's loss. */
  readonly watched: Set<MemoryDelivery>;
  /** One was read. */
  onRead(): void;
  /** One that was read is settled. */
  onSettled(): void;
  /** Until when a message may be parked at most, ms since the epoch. */
  readonly parkedUntil: number;
  /** Publishes a copy that waits; undefined where that takes too long. What comes of it then is told to `late`. */
  publish(outgoing: Outgoing, late: (verdict: Verdict) => void): Promise<Verdict | undefined>;
}

const SETTLED: Promise<"settled"> = Promise.resolve("settled");
const STALE: Promise<"stale"> = Promise.resolve("stale");
const NOTHING: Disposable = { [Symbol.dispose]() {} };

/** A delivery; see the contract in `src/broker.ts`. */
export class MemoryDelivery implements Delivery {
  readonly #lane: Lane;
  readonly #event: Deliver;
  #message: Message | undefined;
  #route: Delivery["route"] | undefined;
  #settled = false;
  /** Whether a copy that waits has taken its place. */
  #replaced = false;
  #listeners: Set<() => void> | undefined;

  constructor(lane: Lane, event: Deliver) {
    this.#lane = lane;
    this.#event = event;
  }

  get message(): Message {
    return this.#message ??= unmarked(copyMessage(this.#event.message));
  }

  get queue(): string {
    return this.#lane.queue;
  }

  get route(): Delivery["route"] {
    if (this.#route !== undefined) return this.#route;
    const { message } = this.#event;
    const [exchange, routingKey] = firstRoute(message) ?? [this.#event.exchange, this.#event.routingKey];
    const priority = message.properties["priority"];
    return this.#route = { exchange, routingKey, priority: typeof priority === "number" ? priority : 0 };
  }

  get redelivered(): boolean {
    return this.#event.redelivered || isReturned(this.#event.message);
  }

  /** RabbitMQ's classic queues keep no count. */
  get attempts(): undefined {
    return undefined;
  }

  get lane(): Lane {
    return this.#lane;
  }

  settle(how: Settlement): Promise<"settled" | "stale"> {
    if (this.#settled) {
      throw new CeleriacError("delivery-settled", "This delivery was settled before.");
    }
    const later = how.as === "park" ? how.until : how.as === "requeue" ? how.notBefore : undefined;
    if (later !== undefined && later > this.#lane.parkedUntil) {
      throw new ConfigurationError(
        "park-too-long",
        "A message cannot be parked for so long (features.maxPark).",
      );
    }
    this.#settled = true;
    this.#lane.watched.delete(this);
    if (this.#replaced) return STALE;
    if (!this.#lane.channel.stands) return this.#end(STALE);
    if (later !== undefined) {
      return this.#park(later, how.as === "requeue" || isReturned(this.#event.message));
    }
    if (how.as === "ack") this.#send("basic.ack", false);
    else this.#send("basic.nack", how.as === "requeue");
    return this.#end(SETTLED);
  }

  /** Back into the queue, unread. */
  putBack(): void {
    this.#settled = true;
    if (this.#lane.channel.stands) this.#send("basic.nack", true);
  }

  onLost(listener: () => void): Disposable {
    if (this.#settled) return NOTHING;
    if (this.#replaced || this.#lane.channel.gone !== undefined) {
      tell(listener);
      return NOTHING;
    }
    this.#listeners ??= new Set();
    const listeners = this.#listeners;
    // A wrapper, since the same function may be given twice.
    const one = (): void => listener();
    listeners.add(one);
    this.#lane.watched.add(this);
    return { [Symbol.dispose]: () => void listeners.delete(one) };
  }

  lose(): void {
    for (const listener of this.#listeners ?? []) tell(listener);
    this.#listeners = undefined;
  }

  #end<T>(word: T): T {
    this.#lane.onSettled();
    return word;
  }

  #send(what: "basic.ack" | "basic.nack", requeue: boolean): void {
    const { channel } = this.#lane;
    channel.post({
      do: what,
      connection: channel.connection,
      channel: channel.id,
      deliveryTag: this.#event.deliveryTag,
      requeue,
    });
  }

  /** A copy is confirmed first, then this one acked: in between there are two, never none. */
  async #park(until: number, returned: boolean): Promise<"settled" | "stale"> {
    const verdict = await this.#lane.publish({
      message: reborn(this.#event.message, this.route, returned),
      to: { exchange: "", routingKey: this.queue },
      mustRoute: true,
      notBefore: until,
    }, ({ is }) => is === "confirmed" ? this.#replace() : undefined);
    if (!this.#lane.channel.stands) return this.#end("stale");
    if (verdict?.is === "confirmed") {
      this.#send("basic.ack", false);
      return this.#end("settled");
    }
    this.#settled = false;
    if (this.#listeners !== undefined) this.#lane.watched.add(this);
    const fate = verdict?.is ?? "no answer";
    throw new PublishError("park-failed", `The copy that was to wait was not confirmed (${fate}).`, {
      hint: "The delivery is still held and can be settled.",
    });
  }

  /** The copy that was given up is confirmed: of two, this one goes, unless it has its end. */
  #replace(): void {
    if (this.#settled || !this.#lane.channel.stands) return;
    this.#replaced = true;
    this.#lane.watched.delete(this);
    this.#send("basic.ack", false);
    this.#end(undefined);
    this.lose();
  }
}
