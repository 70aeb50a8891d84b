/**
 * Memory of names that others may choose: bounded, so that nobody can fill it.
 *
 * @module
 */

/** So many names are remembered at most, besides those that are kept. */
export const MOST_NAMES = 10_000;

/** Characters; a longer name is nobody's own, and not remembered. */
const LONGEST = 1000;

/**
 * A map that forgets what was not asked for lately. It has two generations: where the young one is half of what it may hold, it becomes the
 * old one, whose rest is forgotten. So nothing is moved but what is asked for, and once a generation.
 */
export class Recent<V> {
  readonly #most: number;
  readonly #kept = new Map<string, V>();
  #old = new Map<string, V>();
  #young = new Map<string, V>();

  /** `most` is the number of entries that are not kept. */
  constructor(most: number = MOST_NAMES) {
    this.#most = most;
  }

  /** What is known of the name, which is then young again. */
  get(name: string): V | undefined {
    const found = this.#kept.get(name) ?? this.#young.get(name);
    if (found !== undefined) return found;
    const old = this.#old.get(name);
    if (old !== undefined) this.#add(name, old);
    return old;
  }

  /** Remembers it for a while; what is kept stays so. */
  set(name: string, value: V): void {
    if (this.#kept.has(name)) this.#kept.set(name, value);
    else if (name.length <= LONGEST) this.#add(name, value);
  }

  /** Never forgets it. */
  keep(name: string, value: V): void {
    this.#kept.set(name, value);
    this.#old.delete(name);
    this.#young.delete(name);
  }

  /** What is kept, then the others, oldest first; each once. */
  get values(): readonly V[] {
    return [...new Map([...this.#kept, ...this.#old, ...this.#young]).values()];
  }

  #add(name: string, value: V): void {
    this.#young.set(name, value);
    if (this.#young.size * 2 < this.#most) return;
    this.#old = this.#young;
    this.#young = new Map();
  }
}
