/**
 * Deliveries of several queues as one stream, each queue on a channel of its own, through any number of connections.
 *
 * @module
 */
import type { BrokerEvent, Call, Consumer } from "../../src/broker.ts";
import { ConfigurationError, ConnectionError } from "../../src/errors.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import { AsyncQueue } from "../../src/lib/queue.ts";
import type { AmqpDelivery } from "./delivery.ts";
import type { Epoch } from "./epoch.ts";
import { Intake } from "./intake.ts";
import { type Attached, keep } from "./keeper.ts";
import { within } from "./limit.ts";
import type { Link } from "./link.ts";
import type { Settings } from "./options.ts";
import type { Parking } from "./parking.ts";

/** What a consumer is made of. */
export interface ConsumerParts {
  readonly link: Link;
  readonly settings: Settings;
  readonly parking: Parking;
  readonly emit: (event: BrokerEvent) => void;
  /** Runs on each new connection, and anew after `doubt`: declares what is remembered. */
  readonly prepare: (epoch: Epoch) => Promise<void>;
  /** A queue is gone: what was declared may not stand. */
  readonly doubt: () => void;
  /** The consumer stopped, and its last delivery is settled. */
  readonly ended: (consumer: AmqpConsumer) => void;
}

/** One queue of a consumer. */
interface Tap {
  readonly queue: string;
  readonly abort: AbortController;
  /** Consuming for the first time, or refused. */
  readonly ready: Deferred<void>;
  intake: Intake | undefined;
  /** Ends after `abort`. */
  keeping: Promise<void>;
  /** Up to when messages would have come, kept while it does not consume. */
  alive: number;
  ever: boolean;
}

/** A consumer on RabbitMQ. */
export class AmqpConsumer implements Consumer {
  readonly #parts: ConsumerParts;
  readonly #taps: Map<string, Tap> = new Map();
  /** Channels with something to settle, also of connections and queues that are past. */
  readonly #intakes: Set<Intake> = new Set();
  readonly #deliveries: AsyncQueue<AmqpDelivery> = new AsyncQueue();
  #prefetch: number;
  /** From `stop` on: what nobody read, until its channel may give it back. */
  #held: AmqpDelivery[] | undefined;
  #stopped: Promise<void> | undefined;
  #shutDown = false;

  constructor(queues: readonly string[], prefetch: number, parts: ConsumerParts) {
    this.#parts = parts;
    this.#prefetch = prefetch;
    for (const queue of new Set(queues)) {
      this.#tap(queue).ready.promise.catch((error: unknown) => this.#fail(error));
    }
  }

  get aliveAt(): number {
    let least = Infinity;
    for (const tap of this.#taps.values()) {
      tap.alive = Math.max(tap.alive, tap.intake?.aliveAt ?? 0);
      least = Math.min(least, tap.alive);
    }
    return least === Infinity ? 0 : least;
  }

  /** Resolves when the queue is consumed; rejects where the broker refuses it the first time. */
  async add(queue: string): Promise<void> {
    if (this.#stopped !== undefined) {
      throw new ConnectionError("consumer-stopped", "The consumer was stopped.");
    }
    const tap = this.#taps.get(queue) ?? this.#tap(queue);
    await tap.ready.promise;
  }

  async remove(queue: string): Promise<void> {
    const tap = this.#taps.get(queue);
    if (tap === undefined) return;
    this.#taps.delete(queue);
    await this.#shut(tap, this.#soon());
  }

  async setPrefetch(count: number): Promise<void> {
    if (count === this.#prefetch) return;
    this.#prefetch = count;
    const changes = [...this.#taps.values()].map(async ({ intake }) => {
      if (intake?.consuming !== true) return;
      try {
        await intake.setPrefetch(count);
      } catch {
        // The channel is gone; the next one begins with the new window.
      }
    });
    await Promise.all(changes);
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop(this.#soon());
  }

  /** Closes every channel, while the call lasts: settlements have then arrived, the rest is back in its queue. */
  async close(call: Call): Promise<void> {
    const { clock } = this.#parts.settings.platform;
    this.#stopped ??= this.#stop(call);
    // It may have been stopped before, with more time than there is now.
    await within(this.#stopped, call, clock, "stopping a consumer").catch(() => {});
    const closing = [...this.#intakes].map(async (intake) => {
      try {
        await within(intake.close(), call, clock, "closing a channel");
      } catch {
        // The connection went, or will go now: either gives the rest back.
      }
    });
    await Promise.all(closing);
  }

  [Symbol.asyncIterator](): AsyncIterator<AmqpDelivery> {
    return this.#deliveries[Symbol.asyncIterator]();
  }

  #tap(queue: string): Tap {
    const tap: Tap = {
      queue,
      abort: new AbortController(),
      ready: deferred(),
      intake: undefined,
      keeping: Promise.resolve(),
      alive: 0,
      ever: false,
    };
    this.#taps.set(queue, tap);
    const { link, settings } = this.#parts;
    tap.keeping = keep({
      link,
      settings,
      signal: tap.abort.signal,
      attach: (epoch) => this.#attach(tap, epoch),
      failed: (error, retryIn) => this.#failed(tap, error, retryIn),
    });
    return tap;
  }

  async #attach(tap: Tap, epoch: Epoch): Promise<Attached> {
    await this.#parts.prepare(epoch);
    if (tap.abort.signal.aborted) return { off: Promise.resolve(undefined) };
    const intake = await Intake.open(tap.queue, epoch, {
      parking: this.#parts.parking,
      delivered: (delivery) => (this.#held ?? this.#deliveries).push(delivery),
      lost: (gone) => this.#gone(tap, gone),
    });
    this.#intakes.add(intake);
    tap.intake = intake;
    const prefetch = this.#prefetch;
    await intake.setPrefetch(prefetch);
    if (tap.abort.signal.aborted) await intake.stop(() => this.#unyielded(intake));
    else if (prefetch !== this.#prefetch) await intake.setPrefetch(this.#prefetch);
    tap.ever = true;
    tap.ready.resolve();
    return intake;
  }

  #failed(tap: Tap, error: Error, retryIn: number): boolean {
    if (!tap.ever && error instanceof ConfigurationError) {
      this.#taps.delete(tap.queue);
      tap.ready.reject(error);
      return false;
    }
    this.#parts.doubt();
    this.#parts.emit({ is: "down", link: "consume", error, retryIn });
    return true;
  }

  /** A queue of the first list is refused: the whole consumer is of no use. */
  #fail(error: unknown): void {
    if (this.#stopped !== undefined || !(error instanceof ConfigurationError)) return;
    this.#parts.emit({ is: "fatal", error });
    this.#deliveries.fail(error);
    void this.stop();
  }

  #gone(tap: Tap, intake: Intake): void {
    this.#intakes.delete(intake);
    this.#unyielded(intake);
    this.#endWhenDone();
    if (tap.intake !== intake) return;
    tap.alive = Math.max(tap.alive, intake.aliveAt);
    tap.intake = undefined;
  }

  #endWhenDone(): void {
    if (this.#shutDown && this.#intakes.size === 0) this.#parts.ended(this);
  }

  /** Takes what nobody saw yet out of the stream. */
  #unyielded(intake: Intake): readonly AmqpDelivery[] {
    const held = this.#held;
    if (held === undefined) return this.#deliveries.take(({ origin }) => origin === intake);
    this.#held = held.filter(({ origin }) => origin !== intake);
    return held.filter(({ origin }) => origin === intake);
  }

  /** When an answer is waited for no longer. */
  #soon(): Call {
    const { platform, closeTimeout } = this.#parts.settings;
    return { deadline: platform.clock.now() + closeTimeout };
  }

  async #shut(tap: Tap, call: Call): Promise<void> {
    const { clock } = this.#parts.settings.platform;
    const { intake } = tap;
    tap.abort.abort();
    tap.ready.promise.catch(() => {});
    tap.ready.reject(new ConnectionError("consumer-stopped", "The consumer was stopped."));
    const leave = async (): Promise<void> => {
      await intake?.stop(() => this.#unyielded(intake));
      // It may be in the middle of attaching, and leaves by itself then.
      await tap.keeping;
    };
    try {
      await within(leave(), call, clock, "stopping a consumer");
    } catch {
      // The connection went, and with it everything unsettled is back in the queue.
    }
  }

  async #stop(call: Call): Promise<void> {
    const taps = [...this.#taps.values()];
    const shut = taps.map((tap) => this.#shut(tap, call));
    // Nothing more is yielded from here on, though the broker's answers are still to come.
    this.#held = this.#deliveries.take(() => true);
    this.#deliveries.end();
    await Promise.all(shut);
    // Of channels that had stopped consuming before, and of those that were not to be waited for any longer.
    for (const delivery of this.#held.splice(0)) void delivery.settle({ as: "requeue" });
    this.#shutDown = true;
    this.#endWhenDone();
  }
}
