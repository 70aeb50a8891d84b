/**
 * A set that forgets: of texts, bounded in number and age (Celery: `celery.utils.collections.LimitedSet`).
 *
 * @module
 */

/** How much is remembered. */
export interface Bounds {
  /** Items at most; one more and the oldest goes. */
  readonly most: number;
  /** How long an item is remembered, ms. */
  readonly ttl: number;
}

interface Item {
  readonly text: string;
  readonly added: number;
}

/** Instants are ms of a clock that never goes back. */
export class LimitedSet implements Iterable<string> {
  readonly #bounds: Bounds;
  /** The latest of each, oldest first. */
  readonly #items = new Map<string, Item>();
  /**
   * The same in the order of arrival, with such as were added again since. To ask the map for its first item takes the longer the more
   * were taken out of it before.
   */
  #queue: Item[] = [];
  #head = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** How many it holds, those that are over among them until somebody looks. */
  get size(): number {
    return this.#items.size;
  }

  /** Adds an item, or makes it young again. */
  add(text: string, now: number): void {
    const item = { text, added: now };
    this.#items.delete(text);
    this.#items.set(text, item);
    this.#queue.push(item);
    this.purge(now);
  }

  /** Whether it was added, and neither its time is over nor was it crowded out. */
  has(text: string, now: number): boolean {
    const item = this.#items.get(text);
    return item !== undefined && !this.#isOver(item, now);
  }

  /** Forgets what is too old or too much. */
  purge(now: number): void {
    for (let item = this.#queue[this.#head]; item !== undefined; item = this.#queue[++this.#head]) {
      if (this.#items.get(item.text) !== item) continue;
      if (this.#items.size <= this.#bounds.most && !this.#isOver(item, now)) break;
      this.#items.delete(item.text);
    }
    if (this.#queue.length > 2 * this.#items.size + 64) {
      this.#queue = [...this.#items.values()];
      this.#head = 0;
    }
  }

  /** Oldest first. */
  [Symbol.iterator](): Iterator<string> {
    return this.#items.keys();
  }

  #isOver({ added }: Item, now: number): boolean {
    return now - added >= this.#bounds.ttl;
  }
}
