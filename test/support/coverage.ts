/**
 * What a property met. One that never met a class of events has not shown it.
 *
 * @module
 */

/** Counts of event classes. */
export class Coverage {
  readonly name: string;
  /** What the class counts belong to, such as runs. */
  runs = 0;
  readonly #seen: Map<string, number>;
  readonly #optional: ReadonlySet<string>;

  /** `optional` classes are counted, and may be missing. */
  constructor(name: string, classes: readonly string[], optional: readonly string[] = []) {
    this.name = name;
    this.#optional = new Set(optional.filter((one) => !classes.includes(one)));
    this.#seen = new Map([...classes, ...this.#optional].map((one) => [one, 0]));
  }

  /** Counts `one` when `condition` holds. A class that was not announced is a mistake of the property. */
  note(one: string, condition = true, times = 1): void {
    const before = this.#seen.get(one);
    if (before === undefined) throw new Error(`${this.name} has no class "${one}"`);
    if (condition) this.#seen.set(one, before + times);
  }

  /** The classes that never occurred. */
  get missing(): readonly string[] {
    return [...this.#seen].filter(([one, count]) => count === 0 && !this.#optional.has(one)).map(([one]) =>
      one
    );
  }

  toJSON(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#met());
  }

  /** Optional ones only where they occurred. */
  #met(): readonly (readonly [string, number])[] {
    return [...this.#seen].filter(([one, count]) => count > 0 || !this.#optional.has(one));
  }

  toString(): string {
    const counts = this.#met().map(([one, count]) => `${one} ${count}`);
    return `${this.name}: ${this.runs} runs; ${counts.join(", ")}`;
  }
}
