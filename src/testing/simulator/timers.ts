/**
 * The timers of a simulation, and its time.
 *
 * @module
 */
import { Heap } from "../../../adapters/memory/rabbit/heap.ts";
import type { Timer } from "../../lib/port.ts";

/** A timer that was set. */
export class Alarm implements Timer {
  /** When it is due, ms since the epoch. */
  readonly at: number;
  /** When it was set, ms since the epoch. */
  readonly setAt: number;
  readonly order: number;
  /** The name of the node that set it. */
  readonly owner: string;
  /** Whether something is left to be done while it waits; a timer that does not hold a process open is none of that. */
  readonly works: boolean;
  readonly #timers: Timers;
  #callback: (() => void) | undefined;
  #waits = true;

  constructor(
    timers: Timers,
    at: number,
    order: number,
    owner: string,
    works: boolean,
    callback: () => void,
  ) {
    this.#timers = timers;
    this.at = at;
    this.setAt = timers.now;
    this.order = order;
    this.owner = owner;
    this.works = works;
    this.#callback = callback;
  }

  /** Whether it was called off. */
  get isOff(): boolean {
    return this.#callback === undefined;
  }

  /** Its time has come: it waits for its turn among the events. */
  ring(): void {
    this.#waits = false;
    this.#timers.end(this, false);
  }

  fire(): void {
    const callback = this.#callback;
    this.#callback = undefined;
    callback?.();
  }

  cancel(): void {
    if (this.#callback === undefined) return;
    this.#callback = undefined;
    if (!this.#waits) return;
    this.#waits = false;
    this.#timers.end(this, true);
  }
}

/** All timers, the next one first. */
export class Timers {
  /** ms since the epoch. */
  now: number;
  #heap: Heap<Alarm> = Timers.#empty();
  #order = 0;
  #cancelled = 0;
  #working = 0;

  constructor(now: number) {
    this.now = now;
  }

  static #empty(): Heap<Alarm> {
    return new Heap<Alarm>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
  }

  /** How many wait for which something is left to be done. */
  get working(): number {
    return this.#working;
  }

  /** How many are kept; what was called off may be among them. */
  get size(): number {
    return this.#heap.size;
  }

  /** When the next one is due, ms since the epoch; Infinity when none waits. */
  get next(): number {
    return this.#peek()?.at ?? Infinity;
  }

  /** Those that wait, the next one first. */
  get waiting(): readonly Alarm[] {
    return [...this.#heap].filter((alarm) => !alarm.isOff).sort((a, b) => a.at - b.at || a.order - b.order);
  }

  /** For the node `owner`. A timer never fires early, and the wall clock tells whole ms. */
  set(owner: string, ms: number, works: boolean, callback: () => void): Alarm {
    const at = Math.ceil(this.now + Math.max(0, ms));
    const alarm = new Alarm(this, at, this.#order++, owner, works, callback);
    this.#heap.push(alarm);
    if (works) this.#working++;
    return alarm;
  }

  /** Calls off all timers of a node. */
  drop(owner: string): void {
    for (const alarm of this.waiting) if (alarm.owner === owner) alarm.cancel();
  }

  /** Takes out the next one that is due. */
  due(): Alarm | undefined {
    const alarm = this.#peek();
    if (alarm === undefined || alarm.at > this.now) return undefined;
    this.#heap.pop();
    alarm.ring();
    return alarm;
  }

  /** One waits no more. What was called off stays where it is, until there is too much of it: most deadlines are never met. */
  end(alarm: Alarm, cancelled: boolean): void {
    if (alarm.works) this.#working--;
    if (!cancelled) return;
    this.#cancelled++;
    if (this.#cancelled < 64 || this.#cancelled * 2 < this.#heap.size) return;
    const alive = [...this.#heap].filter((one) => !one.isOff);
    this.#heap = Timers.#empty();
    for (const one of alive) this.#heap.push(one);
    this.#cancelled = 0;
  }

  #peek(): Alarm | undefined {
    for (;;) {
      const alarm = this.#heap.peek();
      if (alarm === undefined || !alarm.isOff) return alarm;
      this.#heap.pop();
      this.#cancelled--;
    }
  }
}
