/**
 * A queue between something that pushes and something that iterates.
 *
 * @module
 */
import { type Deferred, deferred } from "./deferred.ts";

/** First in, first out, both ends in constant time. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  /** How many items wait. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Puts `item` last. */
  push(item: T): void {
    this.#items.push(item);
  }

  /** Puts `items` before all others, in their order. */
  putBack(items: readonly T[]): void {
    this.#items = [...items, ...this.#rest()];
    this.#head = 0;
  }

  /** Takes the first item out; undefined when there is none. */
  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#rest();
      this.#head = 0;
    }
    return item;
  }

  /** Takes out every item for which `wanted` says yes. */
  take(wanted: (item: T) => boolean): T[] {
    const taken: T[] = [];
    const kept: T[] = [];
    for (const item of this.#rest()) (wanted(item) ? taken : kept).push(item);
    this.#items = kept;
    this.#head = 0;
    return taken;
  }

  #rest(): T[] {
    return this.#items.slice(this.#head) as T[];
  }
}

/**
 * Items pushed on one side, iterated on the other. What is pushed while nobody waits is kept. Several iterations share the items; leaving
 * a loop early keeps the rest for the next one.
 */
export class AsyncQueue<T> implements AsyncIterable<T> {
  readonly #items: Fifo<T> = new Fifo();
  readonly #waiters: Fifo<Deferred<IteratorResult<T, undefined>>> = new Fifo();
  #ended = false;
  #error: unknown;
  #failed = false;

  /** Items that nobody took yet. */
  get size(): number {
    return this.#items.size;
  }

  /** Whether `end` or `fail` was called. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Adds an item; nothing after the end. */
  push(item: T): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#items.push(item);
    else waiter.resolve({ value: item, done: false });
  }

  /** Takes out the items for which `wanted` says yes, so that they are not iterated. */
  take(wanted: (item: T) => boolean): T[] {
    return this.#items.take(wanted);
  }

  /** Ends every iteration once the items that still wait are taken. */
  end(): void {
    this.#ended = true;
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      waiter.resolve({ value: undefined, done: true });
    }
  }

  /** Makes the iteration throw `error` once the items that still wait are taken; one iteration sees it, the others just end. */
  fail(error: unknown): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#failed = true;
      this.#error = error;
    } else {
      waiter.reject(error);
    }
    this.end();
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return {
      next: () => this.#next(),
      return: () => Promise.resolve({ value: undefined, done: true }),
    };
  }

  #next(): Promise<IteratorResult<T, undefined>> {
    if (this.#items.size > 0) return Promise.resolve({ value: this.#items.shift() as T, done: false });
    if (this.#failed) {
      this.#failed = false;
      return Promise.reject(this.#error);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    const waiter = deferred<IteratorResult<T, undefined>>();
    this.#waiters.push(waiter);
    return waiter.promise;
  }
}
