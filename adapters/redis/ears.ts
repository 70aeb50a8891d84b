/**
 * The one connection over which a broker listens to channels.
 *
 * @module
 */
import type { Clock } from "../../src/lib/port.ts";
import type { Feed } from "./client.ts";
import { LinkFeed } from "./feed.ts";
import type { LinkOptions } from "./link.ts";
import type { Channels, ChannelSubscription } from "./subscription.ts";

/** How often a connection that only listens is asked whether it is there, ms. */
const LISTENING = 15_000;

/** Listens for all subscriptions of one broker. */
export class Ears implements Channels {
  readonly feed: Feed;
  readonly listeners: Set<ChannelSubscription> = new Set();
  readonly #clock: Pick<Clock, "after">;
  #closed = false;

  constructor(link: LinkOptions, clock: Pick<Clock, "after">) {
    this.#clock = clock;
    this.feed = new LinkFeed(link, {
      message: (pattern, text, channel = pattern) => {
        for (const listener of this.listeners) listener.message(pattern, text, channel);
      },
      heard: () => {
        for (const listener of this.listeners) listener.heard();
      },
      failed: () => {},
    }, { patterns: true });
    this.#watch();
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.feed.close();
  }

  #watch(): void {
    this.#clock.after(LISTENING, () => {
      if (this.#closed) return;
      // A connection that died without a word shows itself.
      if (this.listeners.size > 0) void this.feed.fence();
      this.#watch();
    }, { keepAlive: false });
  }
}
