/**
 * The history: what happened, in order, for the checker to judge and for people to read.
 *
 * @module
 */
import { CeleriacError } from "../errors.ts";
import { demand } from "../lib/demand.ts";
import type { Clock } from "../lib/port.ts";
import type { Entry, NewEntry } from "./entry.ts";

/** How a history is kept. */
export interface HistoryOptions {
  /** Whose time the entries bear. */
  readonly clock: Pick<Clock, "now">;
  /** How many entries are kept, the latest ones; 0 keeps none. @default Infinity */
  readonly keep?: number;
}

/** What is numbered. */
export type Numbered = "publish" | "consumer" | "delivery" | "store";

/**
 * A list that is only added to. Bounded by `keep`, it forgets its oldest entries, so that a million tasks keep the memory flat; it still
 * knows how many of each kind there were.
 *
 * Throws `ConfigurationError` "option-invalid" for a `keep` that is no whole number.
 */
export class History implements Iterable<Entry> {
  readonly #clock: Pick<Clock, "now">;
  readonly #keep: number;
  readonly #counts: Map<Entry["is"], number> = new Map<Entry["is"], number>();
  readonly #numbers: Record<Numbered, number> = { publish: 0, consumer: 0, delivery: 0, store: 0 };
  #entries: Entry[] = [];
  #length = 0;

  /** An empty one. */
  constructor({ clock, keep = Infinity }: HistoryOptions) {
    demand(keep === Infinity || (Number.isSafeInteger(keep) && keep >= 0), "keep", "a whole number from 0");
    this.#clock = clock;
    this.#keep = keep;
  }

  /** Whether it keeps anything at all: what only serves entries need not be done otherwise. */
  get on(): boolean {
    return this.#keep > 0;
  }

  /** How many entries there ever were. */
  get length(): number {
    return this.#length;
  }

  /** How many were forgotten. */
  get dropped(): number {
    return this.#length - this.entries.length;
  }

  /** The entries that are kept, oldest first. */
  get entries(): readonly Entry[] {
    this.#trim(this.#keep);
    return this.#entries;
  }

  /** How many entries of this kind there ever were. */
  count(is: Entry["is"]): number {
    return this.#counts.get(is) ?? 0;
  }

  /** Puts one more at the end, with its time and its place. */
  add(entry: NewEntry): void {
    this.#length++;
    this.#counts.set(entry.is, this.count(entry.is) + 1);
    if (!this.on) return;
    this.#entries.push({ at: this.#clock.now(), seq: this.#length, ...entry });
    // Twice as many at most: one copy a round, not one an entry.
    if (this.#entries.length > 2 * this.#keep) this.#trim(this.#keep);
  }

  /** The next number of its kind, from 1. */
  number(what: Numbered): number {
    return ++this.#numbers[what];
  }

  /** All entries; throws `CeleriacError` "history-incomplete" where some were forgotten, or none is kept: whoever judges must have seen all. */
  whole(): readonly Entry[] {
    if (this.on && this.dropped === 0) return this.entries;
    throw new CeleriacError(
      "history-incomplete",
      this.on
        ? `The history keeps ${this.#keep} entries and forgot ${this.dropped}.`
        : "The history keeps no entries.",
      { hint: "Keep all of it: createHarness(app, { record: true }), or new History({ keep: Infinity })." },
    );
  }

  /** What is kept, oldest first. */
  [Symbol.iterator](): Iterator<Entry> {
    return this.entries[Symbol.iterator]();
  }

  #trim(to: number): void {
    if (this.#entries.length > to) this.#entries = this.#entries.slice(this.#entries.length - to);
  }
}
