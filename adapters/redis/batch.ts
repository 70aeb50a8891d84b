/**
 * Gathers what is asked for within a tick into one round trip.
 *
 * @module
 */
import type { Clock } from "../../src/lib/port.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";

/** How items travel together. */
export interface BatchOptions<Item, Answer> {
  readonly clock: Clock;
  /** Items in one send at most. */
  readonly most: number;
  /** Weight in one send at most; an item that is heavier goes alone. */
  readonly heaviest: number;
  weigh(item: Item): number;
  /** One answer for each item, in their order; an `Error` refuses that one, a rejection all. */
  send(items: readonly Item[]): Promise<readonly (Answer | Error)[]>;
}

interface Waiting<Item, Answer> extends Deferred<Answer> {
  readonly item: Item;
}

/** See the module. */
export class Batch<Item, Answer> {
  readonly #options: BatchOptions<Item, Answer>;
  readonly #under: Set<Promise<void>> = new Set();
  #waiting: Waiting<Item, Answer>[] = [];

  constructor(options: BatchOptions<Item, Answer>) {
    this.#options = options;
  }

  /** Puts the item into the present tick's batch; settles with its own answer. */
  add(item: Item): Promise<Answer> {
    if (this.#waiting.length === 0) this.#options.clock.soon(() => this.#flush());
    const waiting = { item, ...deferred<Answer>() };
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  /** Resolves when everything that was added has settled. */
  async idle(): Promise<void> {
    if (this.#waiting.length > 0) this.#flush();
    while (this.#under.size > 0) await Promise.all(this.#under);
  }

  #flush(): void {
    const all = this.#waiting;
    this.#waiting = [];
    const { heaviest, most, weigh } = this.#options;
    let start = 0;
    let weight = 0;
    all.forEach(({ item }, at) => {
      const own = weigh(item);
      if (at > start && (at - start >= most || weight + own > heaviest)) {
        this.#start(all.slice(start, at));
        [start, weight] = [at, 0];
      }
      weight += own;
    });
    if (start < all.length) this.#start(start === 0 ? all : all.slice(start));
  }

  #start(part: readonly Waiting<Item, Answer>[]): void {
    const sending = this.#send(part);
    this.#under.add(sending);
    void sending.then(() => this.#under.delete(sending));
  }

  async #send(part: readonly Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await this.#options.send(part.map(({ item }) => item));
      part.forEach(({ resolve, reject }, at) => {
        const answer = answers[at];
        if (answer instanceof Error) reject(answer);
        else resolve(answer as Answer);
      });
    } catch (error) {
      for (const { reject } of part) reject(error);
    }
  }
}
