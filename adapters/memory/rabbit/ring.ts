/**
 * A first-in-first-out queue in a ring of slots: O(1) at both ends, and it shrinks after a backlog.
 *
 * @module
 */

const SMALLEST = 16;
/** An emptied ring keeps at most this many slots. */
const KEPT = 4096;

/** A first-in-first-out queue. */
export class Ring<T> {
  #slots: (T | undefined)[] = new Array<T | undefined>(SMALLEST).fill(undefined);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    if (this.#size === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#size) & (this.#slots.length - 1)] = item;
    this.#size++;
  }

  peek(): T | undefined {
    return this.#slots[this.#head];
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#size--;
    if (this.#size === 0 && this.#slots.length > KEPT) this.clear();
    return item;
  }

  clear(): void {
    this.#slots = new Array<T | undefined>(SMALLEST).fill(undefined);
    this.#head = 0;
    this.#size = 0;
  }

  /** From the oldest to the newest. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let at = 0; at < this.#size; at++) {
      yield this.#slots[(this.#head + at) & (this.#slots.length - 1)] as T;
    }
  }

  #grow(): void {
    const slots = new Array<T | undefined>(this.#slots.length * 2).fill(undefined);
    let at = 0;
    for (const item of this) slots[at++] = item;
    this.#slots = slots;
    this.#head = 0;
  }
}
