/**
 * What may happen next, and which of it does: the schedule of a simulation, taken as data.
 *
 * @module
 */

/** Says whether events may happen now. */
export interface Gate {
  /** Whether this lane is shut for the moment. */
  shuts(lane: Track): boolean;
}

/** A lane, as the agenda sees it. */
export interface Track {
  /** Its number among the lanes of the simulation. */
  readonly id: number;
  /** Whether microtasks run out between its events, and before the first. */
  readonly apart: boolean;
  /** Whether its events may happen now. */
  readonly gate: Gate;
  /** When the oldest event was put in, in the order of all events; Infinity while there is none. */
  readonly head: number;
  /** Lets the oldest event happen. */
  step(): void;
}

/** The lanes with events on them. */
export class Agenda {
  readonly #busy: Track[] = [];
  readonly #picks: Iterator<number>;
  readonly #taken: number[] = [];
  #lanes = 0;
  #order = 0;
  #hash = 0x811c9dc5;
  #pick: number | undefined;
  #picksEnded = false;
  /** Events that happened. */
  events = 0;
  /** Called when something may happen where nothing could before. */
  onWork: (() => void) | undefined;

  /** `picks` say which of the ready events goes first, again and again; where they end, the oldest does. */
  constructor(picks: Iterable<number>) {
    this.#picks = picks[Symbol.iterator]();
  }

  /** The picks that were used, zeros at the end left out: with them the same happens again. */
  get picks(): readonly number[] {
    return this.#taken;
  }

  /** One number for all that happened, in its order. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  enrol(): number {
    return ++this.#lanes;
  }

  order(): number {
    return ++this.#order;
  }

  note(lane: Track): void {
    this.#busy.push(lane);
    this.onWork?.();
  }

  forget(lane: Track): void {
    const at = this.#busy.indexOf(lane);
    const last = this.#busy.pop();
    if (last !== undefined && last !== lane) this.#busy[at] = last;
  }

  /** A gate was opened. */
  recheck(): void {
    this.onWork?.();
  }

  /** What the next pick says. */
  get pick(): number {
    return this.#pick ??= this.#draw();
  }

  /** The lane whose turn it is; undefined when nothing is ready. */
  choose(): Track | undefined {
    return this.pick === 0 ? this.#oldest() : this.#nth(this.pick);
  }

  /** Lets the oldest event of the chosen lane happen. */
  take(lane: Track): void {
    this.events++;
    this.mix(lane.id);
    this.mix(lane.head);
    if (!this.#picksEnded) this.#taken.push(this.pick);
    this.#pick = undefined;
    lane.step();
  }

  /** Adds something to the hash (FNV-1a by 32 bits). */
  mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193);
    this.#hash ^= this.#hash >>> 15;
  }

  #draw(): number {
    if (this.#picksEnded) return 0;
    const { done, value } = this.#picks.next();
    if (done !== true) return Math.abs(Math.trunc(value)) || 0;
    this.#picksEnded = true;
    while (this.#taken.at(-1) === 0) this.#taken.pop();
    return 0;
  }

  #oldest(): Track | undefined {
    let oldest: Track | undefined;
    let head = Infinity;
    for (const lane of this.#busy) {
      if (lane.head < head && !lane.gate.shuts(lane)) {
        oldest = lane;
        head = lane.head;
      }
    }
    return oldest;
  }

  #nth(pick: number): Track | undefined {
    const ready = this.#busy.filter((lane) => !lane.gate.shuts(lane)).sort((a, b) => a.head - b.head);
    return ready[pick % ready.length];
  }
}
