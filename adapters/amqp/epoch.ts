/**
 * One connection, from its opening to its loss. Whatever was handed out under it dies with it.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import type { Call } from "../../src/broker.ts";
import { ConnectionError } from "../../src/errors.ts";
import type { Clock } from "../../src/lib/port.ts";
import { connectTimeout } from "./errors.ts";
import { within } from "./limit.ts";
import type { Outbox } from "./outbox.ts";
import type { Roads } from "./roads.ts";
import type { Target } from "./url.ts";
import type { Wire } from "./wire.ts";

/** The code of a connection that we ended. */
export const CLOSED_BY_US = "broker-closed-by-us";

/** Where the broker has no limit: RabbitMQ's default. */
const LARGEST_FRAME = 131_072;

/** How long the answer to a goodbye is waited for, ms: nobody should wait longer for a verdict that is known. */
const GOODBYE = 250;

/** What becomes known about a connection while it stands. */
export interface EpochEvents {
  blocked?(reason: string): void;
  unblocked(): void;
  /** Watches over the connection; without it no heartbeat is offered, as what is bounded by a deadline needs none. */
  beat?(target: Target, seconds: number, out: Outbox, end: (error: ConnectionError) => void): Beat;
}

/** A heartbeat that goes on. */
export interface Beat extends Disposable {
  /** Something came. */
  received(): void;
}

/** A live connection, or what is left of one. */
export class Epoch {
  readonly target: Target;
  readonly #clock: Clock;
  readonly #lossListeners: Set<(error: ConnectionError) => void> = new Set();
  #wire: Wire | undefined;
  #heartbeat: Beat | undefined;
  #lost: ConnectionError | undefined;
  /** When the last bytes came, ms since the epoch. */
  receivedAt = 0;
  /** When the connection stood. */
  openedAt = 0;

  private constructor(target: Target, clock: Clock) {
    this.target = target;
    this.#clock = clock;
  }

  /**
   * Connects; rejects with a coded error after the settings' `connectTimeout` at the latest. When `signal` aborts, the connection is left
   * or the attempt is over.
   */
  static async open(
    target: Target,
    { dial, settings }: Roads,
    kind: string,
    events: EpochEvents,
    signal?: AbortSignal,
  ): Promise<Epoch> {
    const { clock } = settings.platform;
    const epoch = new Epoch(target, clock);
    const timer = clock.after(settings.connectTimeout, () => {
      epoch.#end(connectTimeout(target, settings.connectTimeout));
    });
    const leave = (): void => void epoch.leave(0);
    signal?.addEventListener("abort", leave);
    epoch.onLost(() => signal?.removeEventListener("abort", leave));
    try {
      const heartbeat = events.beat === undefined ? 0 : target.heartbeat ?? settings.heartbeat;
      const wire = await dial(target, { name: `${settings.name} ${kind}`, heartbeat }, {
        received: () => {
          epoch.receivedAt = clock.now();
          epoch.#heartbeat?.received();
        },
        lost: (error) => epoch.#end(error),
      });
      epoch.#wire = wire;
      if (epoch.#lost !== undefined) {
        wire.destroy();
        throw epoch.#lost;
      }
      await epoch.rpc(wire.opened);
      epoch.#start(wire, events);
    } finally {
      timer.cancel();
    }
    return epoch;
  }

  /** The settings' clock. */
  get clock(): Clock {
    return this.#clock;
  }

  /** Why the connection is gone; undefined while it stands. */
  get lost(): ConnectionError | undefined {
    return this.#lost;
  }

  /** Why the broker reads no publishes at the moment; undefined where it does. */
  get blocked(): string | undefined {
    return this.#wire?.client.blocked;
  }

  /** The connection's outgoing bytes. */
  get out(): Outbox {
    return this.#live().out;
  }

  /** The largest frame, as negotiated; a broker without a limit says 0. */
  get frameMax(): number {
    return this.#live().client.frameMax || LARGEST_FRAME;
  }

  /**
   * Opens a channel; what `ask` asks leaves together with that. `closed` hears, in the library's words, when the broker closes it; the end
   * of the connection comes by `onLost`.
   */
  async channel(
    closed: (reason: string) => void,
    ask: (channel: AMQPChannel) => Promise<unknown> = () => Promise.resolve(),
  ): Promise<AMQPChannel> {
    const { client } = this.#live();
    // The library takes the first free number, and gives the channel out only when the broker has opened it.
    const free = client.channels.findIndex((each) => each === undefined);
    const id = free < 0 ? client.channels.length : free;
    const opened = client.channel();
    const channel = client.channels[id];
    if (channel === undefined) return await opened;
    // The library tells each channel of the connection's end as well, and before it tells us.
    channel.onerror = (reason) => {
      if (/^channel \d+ closed: /.test(reason)) closed(reason);
    };
    await this.rpc(Promise.all([opened, ask(channel)]));
    if (channel.closed) throw new ConnectionError("channel-closed", "The broker closed a channel at once.");
    return channel;
  }

  /** The answer to a method call; rejects when the connection goes first (the library leaves some promises pending then). */
  rpc<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = this.onLost(reject);
      void answer.then(resolve, (error: unknown) => reject(this.#lost ?? error)).finally(stop);
    });
  }

  /** Calls `listener` when the connection goes, at once if it is gone; the answer takes it back. */
  onLost(listener: (error: ConnectionError) => void): () => void {
    if (this.#lost === undefined) this.#lossListeners.add(listener);
    else listener(this.#lost);
    return () => this.#lossListeners.delete(listener);
  }

  /**
   * Says goodbye and frees the socket. Where the transport would drop the goodbye without, its answer is waited for, a moment and until
   * `deadline` at the latest.
   */
  async leave(deadline: number): Promise<void> {
    const wire = this.#wire;
    const now = this.#clock.now();
    if (this.#lost === undefined && wire?.client.closed === false) {
      const waits = !wire.lingers && deadline > now;
      const call = waits ? { deadline: Math.min(deadline, now + GOODBYE) } : {};
      const answered = within(this.rpc(wire.client.close()), call, this.#clock, "A goodbye").catch(() => {});
      wire.out.flush();
      if (waits) await answered;
    }
    this.#end(new ConnectionError(CLOSED_BY_US, "We closed the connection to the broker."));
  }

  /** Says goodbye, waits for the answer while the call lasts, and frees the socket. */
  async close(call: Call): Promise<void> {
    const wire = this.#wire;
    if (this.#lost !== undefined || wire === undefined) return;
    try {
      await within(this.rpc(wire.client.close()), call, this.#clock, "closing the connection");
    } catch {
      // Gone, or too slow: the socket is freed all the same.
    }
    wire.destroy();
  }

  #live(): Wire {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#wire === undefined) throw new Error("not open yet");
    return this.#wire;
  }

  #start(wire: Wire, events: EpochEvents): void {
    if (this.#lost !== undefined) throw this.#lost;
    const { client } = wire;
    this.openedAt = this.#clock.now();
    client.onblocked = (reason) => events.blocked?.(reason);
    client.onunblocked = () => events.unblocked();
    const seconds = client.heartbeat;
    if (seconds > 0) {
      this.#heartbeat = events.beat?.(this.target, seconds, wire.out, (error) => this.#end(error));
    }
  }

  #end(error: ConnectionError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#heartbeat?.[Symbol.dispose]();
    this.#wire?.destroy();
    const listeners = [...this.#lossListeners];
    this.#lossListeners.clear();
    for (const listener of listeners) listener(error);
  }
}
