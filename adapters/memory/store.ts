/**
 * Where a memory backend keeps results and facts, and who is told of them.
 *
 * @module
 */
import type { ResultRecord } from "../../src/backend.ts";
import type { Clock } from "../../src/lib/port.ts";
import { Shelf } from "./shelf.ts";

/** Is told of each state that is stored. */
export type Listener = (record: ResultRecord) => void;

/** Results and facts, each with its end. Backends of one store see each other's. */
export class MemoryStore {
  readonly #records: Shelf<ResultRecord>;
  readonly #facts: Shelf<string>;
  readonly #listeners: Map<string, Set<Listener>> = new Map<string, Set<Listener>>();

  constructor(clock: Clock) {
    this.#records = new Shelf(clock);
    this.#facts = new Shelf(clock);
  }

  /** Stores and announces; `ttl` in ms. A SUCCESS that is there stays. */
  put(record: ResultRecord, ttl: number | undefined): "stored" | "kept" {
    if (this.#records.get(record.taskId)?.status === "SUCCESS") return "kept";
    const kept = { ...record };
    this.#records.put(record.taskId, kept, ttl);
    for (const listener of this.#listeners.get(record.taskId) ?? []) listener({ ...kept });
    return "stored";
  }

  get(id: string): ResultRecord | undefined {
    const record = this.#records.get(id);
    return record === undefined ? undefined : { ...record };
  }

  forget(id: string): void {
    this.#records.remove(id);
  }

  listen(id: string, listener: Listener): void {
    const listeners = this.#listeners.get(id);
    if (listeners === undefined) this.#listeners.set(id, new Set([listener]));
    else listeners.add(listener);
  }

  leave(id: string, listener: Listener): void {
    const listeners = this.#listeners.get(id);
    listeners?.delete(listener);
    if (listeners?.size === 0) this.#listeners.delete(id);
  }

  fact(key: string): string | undefined {
    return this.#facts.get(key);
  }

  /** `ttl` in ms. False: `ifAbsent` was asked and something was there. */
  putFact(key: string, value: string, ttl: number, ifAbsent: boolean): boolean {
    if (ifAbsent && this.#facts.get(key) !== undefined) return false;
    this.#facts.put(key, value, ttl);
    return true;
  }

  /** Adds one; `ttl` in ms is set on the first. */
  bumpFact(key: string, ttl: number): number {
    const count = Number(this.#facts.get(key) ?? 0) + 1;
    if (count === 1) this.#facts.put(key, "1", ttl);
    else this.#facts.change(key, String(count));
    return count;
  }
}
