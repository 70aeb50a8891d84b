/**
 * Things that come when they come, read one by one.
 *
 * @module
 */
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import { Ring } from "./rabbit/ring.ts";

/** A queue between one who pushes and one who reads; leaving the loop does not end it. */
export class Feed<T> implements AsyncIterable<T> {
  #items: Ring<T> = new Ring<T>();
  readonly #readers: Ring<Deferred<IteratorResult<T>>> = new Ring<Deferred<IteratorResult<T>>>();
  readonly #onRead: ((item: T) => void) | undefined;
  #ended = false;
  #error: unknown;

  constructor(onRead?: (item: T) => void) {
    this.#onRead = onRead;
  }

  get ended(): boolean {
    return this.#ended;
  }

  push(item: T): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader === undefined) {
      this.#items.push(item);
      return;
    }
    this.#onRead?.(item);
    reader.resolve({ done: false, value: item });
  }

  /** Takes out what was not read and `wanted` picks. */
  withdraw(wanted: (item: T) => boolean): readonly T[] {
    const [taken, kept] = [[] as T[], new Ring<T>()];
    for (const item of this.#items) {
      if (wanted(item)) taken.push(item);
      else kept.push(item);
    }
    this.#items = kept;
    return taken;
  }

  /** Nothing more is read; an `error` is thrown to one reader first. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#items.clear();
    for (let reader = this.#readers.shift(); reader !== undefined; reader = this.#readers.shift()) {
      this.#finish(reader);
    }
  }

  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#onRead?.(item);
      return Promise.resolve({ done: false, value: item });
    }
    const reader = deferred<IteratorResult<T>>();
    if (this.#ended) this.#finish(reader);
    else this.#readers.push(reader);
    return reader.promise;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: () => this.next(),
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  #finish(reader: Deferred<IteratorResult<T>>): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(error);
  }
}
