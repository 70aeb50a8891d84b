/**
 * Consuming queues on fanout exchanges, as kombu does: what is published to all comes by pub/sub, at most once; what was sent to the queue itself (a
 * retry) lies in its list. One stream of both.
 *
 * @module
 */
import type { Consumer, Delivery, Settlement } from "../../src/broker.ts";
import { CeleriacError, ConfigurationError } from "../../src/errors.ts";
import type { Clock, Timer } from "../../src/lib/port.ts";
import { AsyncQueue, Fifo } from "../../src/lib/queue.ts";
import { type Envelope, readEnvelope } from "./envelope.ts";
import { LEASED } from "./lease/features.ts";
import type { ChannelSubscription } from "./subscription.ts";

/** So many messages of a queue wait for room in its window; Redis keeps none of them, and would cut off who does not read. */
const MOST = 10_000;

const NOTHING: Disposable = { [Symbol.dispose]() {} };

/** What a consumer of broadcasts stands on. */
export interface BroadcastParts {
  /** Of the lists of all the queues. */
  readonly leased: Consumer;
  readonly clock: Pick<Clock, "after" | "now">;
  /** Listens to the exchanges of the queue; undefined where it is on none that is a fanout. */
  listen(queue: string, take: (text: string) => void): readonly ChannelSubscription[] | undefined;
  /** Nobody takes from the queue any more: what is sent to it from here on reaches nobody. */
  left(queue: string): void;
  /** Tells of broadcasts that are dropped, and why. */
  warn(reason: string): void;
}

/** A queue that hears of what is sent to all. */
interface Tap {
  readonly subscriptions: readonly ChannelSubscription[];
  readonly waiting: Fifo<BroadcastDelivery>;
  /** Handed out and not settled. */
  held: number;
  /** To come again later. */
  later: number;
  /** Whether it was told that it drops. */
  told: boolean;
}

/** The {@link Consumer} of queues some of which are on fanout exchanges. */
export class BroadcastConsumer implements Consumer {
  readonly #parts: BroadcastParts;
  readonly #taps: Map<string, Tap> = new Map();
  readonly #deliveries: AsyncQueue<Delivery> = new AsyncQueue();
  /** Messages that come again later. */
  readonly #timers: Set<Timer> = new Set();
  #prefetch: number;
  #alive = 0;
  #stopped: Promise<void> | undefined;

  constructor(queues: readonly string[], prefetch: number, parts: BroadcastParts) {
    this.#parts = parts;
    this.#prefetch = prefetch;
    for (const queue of queues) this.#open(queue);
    void this.#pass();
  }

  get aliveAt(): number {
    const { aliveAt } = this.#parts.leased;
    const hears = [...this.#taps.values()].every(({ subscriptions }) =>
      subscriptions.every((each) => each.hears)
    );
    if (hears) this.#alive = aliveAt;
    return Math.min(this.#alive, aliveAt);
  }

  async add(queue: string): Promise<void> {
    if (this.#stopped === undefined && !this.#taps.has(queue)) this.#open(queue);
    const ready = this.#taps.get(queue)?.subscriptions.map((each) => each.ready) ?? [];
    await Promise.all([this.#parts.leased.add(queue), ...ready]);
  }

  async remove(queue: string): Promise<void> {
    await this.#close(queue);
    await this.#parts.leased.remove(queue);
  }

  async setPrefetch(count: number): Promise<void> {
    this.#prefetch = count;
    for (const tap of this.#taps.values()) this.#flow(tap);
    await this.#parts.leased.setPrefetch(count);
  }

  async stop(): Promise<void> {
    await (this.#stopped ??= this.#stop());
    // What was taken from lists may have been settled since.
    await this.#parts.leased.stop();
  }

  [Symbol.asyncIterator](): AsyncIterator<Delivery> {
    return this.#deliveries[Symbol.asyncIterator]();
  }

  /** One of ours is settled: nobody else has it, so that it comes again here or nowhere. */
  settled(delivery: BroadcastDelivery, how: Settlement): void {
    const { clock } = this.#parts;
    const { tap } = delivery;
    tap.held--;
    const until = how.as === "park" ? how.until : how.as === "requeue" ? how.notBefore ?? 0 : undefined;
    if (until !== undefined && this.#taps.get(delivery.queue) !== tap) {
      this.#parts.warn(goneWith(delivery.queue, 1));
    } else if (until !== undefined && this.#hasRoom(tap, delivery.queue)) {
      tap.later++;
      const timer = clock.after(Math.max(0, until - clock.now()), () => {
        this.#timers.delete(timer);
        // The queue may have been left meanwhile, which was told.
        if (this.#taps.get(delivery.queue) !== tap) return;
        tap.later--;
        this.#put(tap, new BroadcastDelivery(this, tap, delivery.queue, delivery.envelope, true));
      }, { keepAlive: false });
      this.#timers.add(timer);
    }
    this.#flow(tap);
  }

  /** Throws "park-too-long" as for a message of a list. */
  demandKept(how: Settlement): void {
    if (how.as !== "park" || how.until - this.#parts.clock.now() <= LEASED.maxPark) return;
    throw new ConfigurationError(
      "park-too-long",
      "A message cannot be parked for so long (features.maxPark).",
    );
  }

  #open(queue: string): void {
    const subscriptions = this.#parts.listen(queue, (text) => {
      const tap = this.#taps.get(queue);
      if (tap !== undefined) {
        this.#put(tap, new BroadcastDelivery(this, tap, queue, readEnvelope(text), false));
      }
    });
    if (subscriptions === undefined) return;
    this.#taps.set(queue, { subscriptions, waiting: new Fifo(), held: 0, later: 0, told: false });
  }

  #put(tap: Tap, delivery: BroadcastDelivery): void {
    if (!this.#hasRoom(tap, delivery.queue)) return;
    tap.waiting.push(delivery);
    this.#flow(tap);
  }

  /** Whether one more may wait here; where none may, that is told once. */
  #hasRoom(tap: Tap, queue: string): boolean {
    if (tap.waiting.size + tap.later < MOST) return true;
    if (!tap.told) {
      this.#parts.warn(`more than ${MOST} broadcasts wait in ${queue}: the next ones are dropped`);
    }
    tap.told = true;
    return false;
  }

  #flow(tap: Tap): void {
    while (tap.waiting.size > 0 && (this.#prefetch === 0 || tap.held < this.#prefetch)) {
      tap.held++;
      this.#deliveries.push(tap.waiting.shift() as Delivery);
    }
    if (tap.waiting.size + tap.later === 0) tap.told = false;
  }

  async #pass(): Promise<void> {
    try {
      for await (const delivery of this.#parts.leased) this.#deliveries.push(delivery);
      this.#deliveries.end();
    } catch (error) {
      this.#deliveries.fail(error);
    }
  }

  async #close(queue: string): Promise<void> {
    const tap = this.#taps.get(queue);
    if (tap === undefined) return;
    this.#taps.delete(queue);
    const unread = this.#deliveries.take((one) => one instanceof BroadcastDelivery && one.queue === queue);
    const waited = unread.length + tap.waiting.size + tap.later;
    this.#parts.left(queue);
    if (waited > 0) this.#parts.warn(goneWith(queue, waited));
    await Promise.all(tap.subscriptions.map((each) => each.close()));
  }

  /** What came by pub/sub and was not handed out is nobody's; what came from lists goes back. */
  async #stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    const queues = [...this.#taps.keys()];
    await Promise.all(queues.map((queue) => this.#close(queue)));
    for (const delivery of this.#deliveries.take(() => true)) {
      // What the server refuses to take back comes again when its lease is over.
      delivery.settle({ as: "requeue" }).catch(() => {});
    }
    await this.#parts.leased.stop();
    this.#deliveries.end();
  }
}

/** Says that so many messages of the queue are dropped. */
export function goneWith(queue: string, count: number): string {
  return `${count} ${count === 1 ? "broadcast" : "broadcasts"} of ${queue} dropped with its consumer`;
}

/** A message that was sent to all who listen. */
class BroadcastDelivery implements Delivery {
  readonly queue: string;
  readonly envelope: Envelope;
  readonly redelivered: boolean;
  readonly attempts: number | undefined = undefined;
  /** The one that it came by. */
  readonly tap: Tap;
  readonly #consumer: BroadcastConsumer;
  #settled = false;

  constructor(
    consumer: BroadcastConsumer,
    tap: Tap,
    queue: string,
    envelope: Envelope,
    redelivered: boolean,
  ) {
    this.#consumer = consumer;
    this.tap = tap;
    this.queue = queue;
    this.envelope = envelope;
    this.redelivered = redelivered;
  }

  get message(): Delivery["message"] {
    return this.envelope.message;
  }

  get route(): Delivery["route"] {
    return this.envelope.route;
  }

  settle(how: Settlement): Promise<"settled" | "stale"> {
    if (this.#settled) throw new CeleriacError("delivery-settled", "This delivery was settled before.");
    this.#consumer.demandKept(how);
    this.#settled = true;
    this.#consumer.settled(this, how);
    return Promise.resolve("settled");
  }

  /** No link can lose what is ours alone. */
  onLost(): Disposable {
    return NOTHING;
  }
}
