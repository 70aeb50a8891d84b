/**
 * Signs of life on a link at rest. Heartbeats are a minute apart, so that a busy event loop costs no connection; between them a question
 * that costs nothing shows whether a message would still come.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import type { Clock, Timer } from "../../src/lib/port.ts";
import type { Epoch } from "./epoch.ts";

/** A link that brought nothing for so long is asked, ms. */
export const AT_REST = 5000;

/** Asks whenever nothing came for {@link AT_REST}, one question at a time; what is not answered is for the heartbeat to judge. */
export class Pulse implements Disposable {
  readonly #clock: Clock;
  readonly #receivedAt: () => number;
  readonly #ask: () => Promise<unknown>;
  #timer: Timer | undefined;
  #asking = false;

  constructor(clock: Clock, receivedAt: () => number, ask: () => Promise<unknown>) {
    this.#clock = clock;
    this.#receivedAt = receivedAt;
    this.#ask = ask;
    this.#arm(AT_REST);
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(ms: number): void {
    this.#timer = this.#clock.after(ms, () => this.#tick(), { keepAlive: false });
  }

  #tick(): void {
    const rest = this.#clock.now() - this.#receivedAt();
    if (rest >= AT_REST && !this.#asking) void this.#question();
    this.#arm(rest >= 0 && rest < AT_REST ? AT_REST - rest : AT_REST);
  }

  async #question(): Promise<void> {
    this.#asking = true;
    try {
      await this.#ask();
    } catch {
      // The link is gone, and says so itself.
    }
    this.#asking = false;
  }
}

/** The pulse of a connection, on a channel of its own: the window of a channel without consumers is nobody's. */
export function pulseOf(epoch: Epoch): Pulse {
  let channel: Promise<AMQPChannel> | undefined;
  const open = (): Promise<AMQPChannel> => epoch.channel(() => channel = undefined);
  return new Pulse(epoch.clock, () => epoch.receivedAt, async () => {
    channel ??= open();
    try {
      await epoch.rpc((await channel).basicQos(0));
    } catch (error) {
      channel = undefined;
      throw error;
    }
  });
}
