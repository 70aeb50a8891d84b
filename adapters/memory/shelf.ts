/**
 * Values that are kept for a time.
 *
 * @module
 */
import type { Clock } from "../../src/lib/port.ts";
import { Heap } from "./rabbit/heap.ts";

interface Item<T> {
  value: T;
  /** ms since the epoch; Infinity keeps it. */
  end: number;
}

interface Mark<T> {
  readonly at: number;
  readonly key: string;
  readonly item: Item<T>;
}

/** Keeps values by key. There is no timer: each write clears what is over, so that memory follows what is alive. */
export class Shelf<T> {
  readonly #clock: Clock;
  readonly #items: Map<string, Item<T>> = new Map<string, Item<T>>();
  /** When to look at which item. Overwriting or removing leaves its mark behind, until there are too many of those. */
  #marks: Heap<Mark<T>> = Shelf.#heap<T>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  static #heap<T>(): Heap<Mark<T>> {
    return new Heap<Mark<T>>((a, b) => a.at < b.at);
  }

  /** Items that are not cleared yet. */
  get size(): number {
    return this.#items.size;
  }

  /** Looks that are due some time. */
  get marks(): number {
    return this.#marks.size;
  }

  get(key: string): T | undefined {
    const item = this.#items.get(key);
    if (item === undefined) return undefined;
    if (item.end > this.#clock.now()) return item.value;
    this.#items.delete(key);
    return undefined;
  }

  /** `ttl` in ms; undefined keeps it for ever. */
  put(key: string, value: T, ttl: number | undefined): void {
    const now = this.#clock.now();
    this.#clear(now);
    const end = ttl === undefined ? Infinity : now + ttl;
    const item: Item<T> = { value, end };
    this.#items.set(key, item);
    if (end !== Infinity) this.#marks.push({ at: end, key, item });
  }

  /** Another value until the same end. */
  change(key: string, value: T): void {
    const item = this.#items.get(key);
    if (item !== undefined) item.value = value;
  }

  remove(key: string): void {
    this.#items.delete(key);
  }

  #clear(now: number): void {
    for (let mark = this.#marks.peek(); mark !== undefined && mark.at <= now; mark = this.#marks.peek()) {
      this.#marks.pop();
      if (this.#items.get(mark.key) === mark.item) this.#items.delete(mark.key);
    }
    if (this.#marks.size <= 2 * this.#items.size + 1024) return;
    const alive = [...this.#marks].filter((mark) => this.#items.get(mark.key) === mark.item);
    this.#marks = Shelf.#heap<T>();
    for (const mark of alive) this.#marks.push(mark);
  }
}
