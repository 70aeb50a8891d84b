/**
 * The connection of one call, from the first byte to the goodbye.
 *
 * @module
 */
import type { AMQPBaseClient, AMQPChannel } from "@cloudamqp/amqp-client";
import { deferred } from "../../src/lib/deferred.ts";
import type { Place } from "./epoch.ts";
import { connectTimeout } from "./errors.ts";
import type { CallSettings } from "./options.ts";
import type { Sink, Wire } from "./wire.ts";

/** How long the answer to a goodbye is waited for, ms: nobody should wait longer for a verdict that is known. */
const GOODBYE = 250;

/** One connection. It ends once, with a reason. */
export class Line {
  readonly #settings: CallSettings;
  readonly #end: ReturnType<typeof deferred<never>> = deferred();
  #over = false;
  #wire: Wire<Sink> | undefined;
  #channels = 0;

  /** When `stop` aborts, it says goodbye and ends with that reason. */
  constructor(settings: CallSettings, stop: AbortSignal) {
    this.#settings = settings;
    this.#end.promise.catch(() => {});
    stop.addEventListener("abort", () => void this.leave(0, stop.reason));
  }

  /** The answer; rejects with the line's own reason where it ends first (the library leaves some promises pending then). */
  hold<T>(answer: Promise<T>): Promise<T> {
    return Promise.race([this.#end.promise, answer]);
  }

  /** Connects; rejects with a coded error after the settings' `connectTimeout` at the latest. */
  async open({ target, dial }: Place<Sink>): Promise<AMQPBaseClient> {
    const { platform: { clock }, connectTimeout: ms, name } = this.#settings;
    const timer = clock.after(ms, () => this.end(connectTimeout(target, ms)));
    const events = { received: () => {}, lost: (error: Error) => this.end(error) };
    // What is bounded by a deadline needs no heartbeat.
    const dialled = dial({ name: `${name} publish`, heartbeat: 0 }, events).then((wire) => {
      this.#wire = wire;
      if (this.#over) wire.destroy();
      return wire;
    });
    try {
      const { client, opened } = await this.hold(dialled);
      await this.hold(opened);
      return client;
    } finally {
      timer.cancel();
    }
  }

  /** A channel to ask on at once; when it stands is put into `opened`. */
  channel(client: AMQPBaseClient, opened: Promise<unknown>[]): AMQPChannel {
    opened.push(client.channel(++this.#channels));
    return client.channels[this.#channels] as AMQPChannel;
  }

  /** Frees the socket. */
  end(reason?: unknown): void {
    this.#over = true;
    this.#end.reject(reason);
    this.#wire?.destroy();
  }

  /**
   * Says goodbye and ends; where the transport would drop the goodbye otherwise, its answer is waited for, a moment and at most `patience`
   * ms.
   */
  async leave(patience: number, reason?: unknown): Promise<void> {
    const wire = this.#wire;
    if (!this.#over && wire?.client.closed === false) {
      const answered = this.hold(wire.client.close()).catch(() => {});
      wire.out.flush();
      if (!wire.lingers && patience > 0) {
        const timer = this.#settings.platform.clock.after(
          Math.min(patience, GOODBYE),
          () => this.end(),
        );
        await answered;
        timer.cancel();
      }
    }
    this.end(reason);
  }
}
