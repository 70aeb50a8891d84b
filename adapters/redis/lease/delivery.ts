/**
 * One claimed message and its one settlement.
 *
 * @module
 */
import type { Delivery, Message, Settlement } from "../../../src/broker.ts";
import { CeleriacError } from "../../../src/errors.ts";
import { tell } from "../../../src/lib/observers.ts";
import { type Envelope, readEnvelope } from "../envelope.ts";
import type { Claimed } from "./claim.ts";

/** The consumer, as its deliveries see it. */
export interface Holder {
  /** Sends the settlement with the others of this tick. Throws for an instant that is none. */
  settle(delivery: RedisDelivery, how: Settlement): Promise<"settled" | "stale">;
}

const STALE: Promise<"stale"> = Promise.resolve("stale");
const NOTHING: Disposable = { [Symbol.dispose]() {} };

/** A delivery of Redis. */
export class RedisDelivery implements Delivery {
  readonly claimed: Claimed;
  readonly #holder: Holder;
  #envelope: Envelope | undefined;
  #settled = false;
  #lost = false;
  #listeners: Set<() => void> | undefined;

  constructor(claimed: Claimed, holder: Holder) {
    this.claimed = claimed;
    this.#holder = holder;
  }

  get message(): Message {
    return this.#read().message;
  }

  get queue(): string {
    return this.claimed.queue;
  }

  get route(): Delivery["route"] {
    return this.#read().route;
  }

  get redelivered(): boolean {
    return this.#read().redelivered;
  }

  /** kombu keeps no count. */
  get attempts(): undefined {
    return undefined;
  }

  settle(how: Settlement): Promise<"settled" | "stale"> {
    if (this.#settled) throw new CeleriacError("delivery-settled", "This delivery was settled before.");
    if (this.#lost) {
      this.#settled = true;
      return STALE;
    }
    const fate = this.#holder.settle(this, how);
    this.#settled = true;
    this.#listeners = undefined;
    return fate;
  }

  onLost(listener: () => void): Disposable {
    if (this.#settled) return NOTHING;
    if (this.#lost) {
      listener();
      return NOTHING;
    }
    const listeners = this.#listeners ??= new Set();
    // The same function may listen twice.
    const own = (): void => listener();
    listeners.add(own);
    return { [Symbol.dispose]: () => void listeners.delete(own) };
  }

  /** Its lease is lost: somebody else has the message. */
  lose(): void {
    this.#lost = true;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) tell(listener);
  }

  #read(): Envelope {
    return this.#envelope ??= readEnvelope(this.claimed.text);
  }
}
