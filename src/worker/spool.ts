/**
 * Results that could not be stored yet: kept in memory, bounded, the latest of each task.
 *
 * @module
 */

/** What is kept of a result. */
export interface Kept {
  readonly taskId: string;
  readonly status: string;
  readonly text: string;
}

/** How much is kept. */
export interface SpoolBounds {
  readonly records: number;
  /** By the length of their texts. */
  readonly bytes: number;
}

/** A queue of results by task, oldest first. */
export class Spool<T extends Kept> implements Iterable<T> {
  readonly #bounds: SpoolBounds;
  readonly #entries = new Map<string, T>();
  #bytes = 0;

  constructor(bounds: SpoolBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds an entry in the place of an older one of its task; gives what had to go, which may be the entry itself. */
  add(entry: T): readonly T[] {
    const gone: T[] = [];
    const older = this.#entries.get(entry.taskId);
    if (older !== undefined) {
      this.delete(older);
      gone.push(older);
    }
    this.#entries.set(entry.taskId, entry);
    this.#bytes += entry.text.length;
    if (!this.#isOver) return gone;
    for (const oldest of this.#entries.values()) {
      this.delete(oldest);
      gone.push(oldest);
      if (!this.#isOver) break;
    }
    return gone;
  }

  get #isOver(): boolean {
    return this.#entries.size > this.#bounds.records || this.#bytes > this.#bounds.bytes;
  }

  /** The entry of a task. */
  get(taskId: string): T | undefined {
    return this.#entries.get(taskId);
  }

  /** Whether this very entry is still there. */
  has(entry: T): boolean {
    return this.#entries.get(entry.taskId) === entry;
  }

  /** Takes this very entry out; false where another one has its place. */
  delete(entry: T): boolean {
    if (!this.has(entry)) return false;
    this.#entries.delete(entry.taskId);
    this.#bytes -= entry.text.length;
    return true;
  }

  /** Oldest first. */
  [Symbol.iterator](): Iterator<T> {
    return this.#entries.values();
  }
}
