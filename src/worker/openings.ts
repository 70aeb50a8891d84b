/**
 * Compressed messages are opened one at a time: a prefetch of small messages that are large inside would fill the memory at once.
 *
 * @module
 */
import type { Delivery } from "../broker.ts";
import { openContent } from "../protocol/content.ts";
import type { Env } from "./env.ts";
import { refuseUnread } from "./refuse.ts";

/** The text of a message; a promise where it is compressed. */
export function open({ settings, turn }: Env, { message }: Delivery): string | Promise<string> {
  const { acceptContent: accept, contentLimits: limits } = settings;
  return openContent(message, { accept, limits, turn });
}

/** What is being opened by one worker. */
export class Openings {
  readonly #env: Env;
  readonly #read: (delivery: Delivery, text: string) => void;
  readonly #stops: () => boolean;
  readonly #all = new Set<Promise<void>>();
  #last: Promise<void> = Promise.resolve();

  /** `read` takes what is open, unless the worker stops. */
  constructor(env: Env, read: (delivery: Delivery, text: string) => void, stops: () => boolean) {
    this.#env = env;
    this.#stops = stops;
    this.#read = read;
  }

  /** Resolves when nothing is being opened. */
  get ended(): Promise<unknown> {
    return Promise.all(this.#all);
  }

  add(delivery: Delivery): void {
    const opens = (): Promise<void> => this.#open(delivery);
    const opening = this.#last.then(opens, opens).finally(() => this.#all.delete(opening));
    this.#all.add(opening);
    this.#env.probe?.reading?.(opening);
    this.#last = opening;
  }

  async #open(delivery: Delivery): Promise<void> {
    let lost = false;
    using _watch = delivery.onLost(() => lost = true);
    try {
      const text = this.#stops() ? undefined : await open(this.#env, delivery);
      // What comes again is not run here too.
      if (this.#stops() || text === undefined || lost) void this.#env.settle(delivery, { as: "requeue" });
      else this.#read(delivery, text);
    } catch (error) {
      refuseUnread(this.#env, delivery, error);
    }
  }
}
