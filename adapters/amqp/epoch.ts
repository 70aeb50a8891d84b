/**
 * One connection, from its opening to its loss. Whatever was handed out under it dies with it.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import { ConnectionError } from "../../src/errors.ts";
import type { Clock } from "../../src/lib/port.ts";
import { HEARTBEAT } from "./encode.ts";
import { connectTimeout, silence } from "./errors.ts";
import { Heartbeat } from "./heartbeat.ts";
import { within } from "./limit.ts";
import type { Settings } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { Target } from "./url.ts";
import type { Dial, Wire } from "./wire.ts";

/** Where the broker has no limit: RabbitMQ's default. */
const LARGEST_FRAME = 131_072;

/** What becomes known about a connection while it stands. */
export interface EpochEvents {
  blocked(reason: string): void;
  unblocked(): void;
}

/** A live connection, or what is left of one. */
export class Epoch {
  readonly target: Target;
  readonly #clock: Clock;
  readonly #lossListeners: Set<(error: ConnectionError) => void> = new Set();
  #wire: Wire | undefined;
  #heartbeat: Heartbeat | undefined;
  #lost: ConnectionError | undefined;
  /** When the last bytes came, ms since the epoch. */
  receivedAt = 0;
  /** When the connection stood. */
  openedAt = 0;
  /** Why the broker reads no publishes at the moment; undefined where it does. */
  blocked: string | undefined;

  private constructor(target: Target, clock: Clock) {
    this.target = target;
    this.#clock = clock;
  }

  /** Connects to `target`; rejects with a coded error after the settings' `connectTimeout` at the latest. */
  static async open(
    dial: Dial,
    target: Target,
    name: string,
    settings: Settings,
    events: EpochEvents,
  ): Promise<Epoch> {
    const { clock } = settings.platform;
    const epoch = new Epoch(target, clock);
    const timer = clock.after(settings.connectTimeout, () => {
      epoch.#end(connectTimeout(target, settings.connectTimeout));
    });
    try {
      const wire = await dial(target, { name, heartbeat: target.heartbeat ?? settings.heartbeat }, {
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

  /** The connection's outgoing bytes. */
  get out(): Outbox {
    return this.#live().out;
  }

  /** The largest frame, as negotiated; a broker without a limit says 0. */
  get frameMax(): number {
    return this.#live().client.frameMax || LARGEST_FRAME;
  }

  /** Opens a channel. `closed` hears, in the library's words, when the broker closes it; the end of the connection comes by `onLost`. */
  async channel(closed: (reason: string) => void): Promise<AMQPChannel> {
    const channel = await this.rpc(this.#live().client.channel());
    if (channel.closed) throw new ConnectionError("channel-closed", "The broker closed a channel at once.");
    // The library tells each channel of the connection's end as well, and before it tells us.
    channel.onerror = (reason) => {
      if (/^channel \d+ closed: /.test(reason)) closed(reason);
    };
    return channel;
  }

  /** The answer to a method call; rejects when the connection goes first (the library leaves some promises pending then). */
  rpc<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = this.onLost(reject);
      answer.then((value) => {
        stop();
        resolve(value);
      }, (error: unknown) => {
        stop();
        reject(this.#lost ?? error);
      });
    });
  }

  /** Calls `listener` when the connection goes, at once if it is gone; the answer takes it back. */
  onLost(listener: (error: ConnectionError) => void): () => void {
    if (this.#lost !== undefined) {
      listener(this.#lost);
      return () => {};
    }
    this.#lossListeners.add(listener);
    return () => this.#lossListeners.delete(listener);
  }

  /** Says goodbye, waits for the answer until `deadline`, and frees the socket. */
  async close(deadline: number): Promise<void> {
    const wire = this.#wire;
    if (this.#lost !== undefined || wire === undefined) return;
    try {
      await within(this.rpc(wire.client.close()), { deadline }, this.#clock, "closing the connection");
    } catch {
      // Gone, or too slow: the socket is freed all the same.
    }
    wire.destroy();
  }

  /** Gives the connection up. */
  kill(error: ConnectionError): void {
    this.#end(error);
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
    client.onblocked = (reason) => {
      this.blocked = reason;
      events.blocked(reason);
    };
    client.onunblocked = () => {
      this.blocked = undefined;
      events.unblocked();
    };
    const seconds = client.heartbeat;
    if (seconds > 0) {
      this.#heartbeat = new Heartbeat(
        this.#clock,
        seconds * 1000,
        () => wire.out.append(HEARTBEAT),
        () => this.#end(silence(this.target, seconds)),
      );
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
