/**
 * What a consumer has claimed and not settled, and in whose window each stands.
 *
 * @module
 */
import type { RedisDelivery } from "./delivery.ts";
import type { Tap } from "./taps.ts";

/** One of them. The tap is the one that it came by, though its queue may have been left and taken up again since. */
interface Place {
  readonly delivery: RedisDelivery;
  readonly tap: Tap | undefined;
}

/** See the module. */
export class Held {
  /** By tag, oldest first. */
  readonly #places: Map<string, Place> = new Map();

  get size(): number {
    return this.#places.size;
  }

  get tags(): readonly string[] {
    return [...this.#places.keys()];
  }

  has(tag: string): boolean {
    return this.#places.has(tag);
  }

  keep(delivery: RedisDelivery, tap: Tap | undefined): void {
    this.#places.set(delivery.claimed.tag, { delivery, tap });
    if (tap !== undefined) tap.held++;
  }

  /** It is ours no more: what it was, once. */
  let(tag: string): Place | undefined {
    const place = this.#places.get(tag);
    if (place === undefined) return undefined;
    this.#places.delete(tag);
    if (place.tap !== undefined) place.tap.held--;
    return place;
  }

  /** None is ours any more. */
  letAll(): readonly RedisDelivery[] {
    return this.tags.flatMap((tag) => this.let(tag)?.delivery ?? []);
  }
}
