/**
 * What a simulation is driven to: each who waits for it says how far time may move, and when it is there.
 *
 * @module
 */

/** What drivers ask of the simulation. */
export interface Course {
  /** ms since the epoch. */
  readonly now: number;
  /** When the next timer is due, ms since the epoch; Infinity when none waits. */
  readonly next: number;
  /** Whether anything is left to be done by time alone. */
  readonly works: boolean;
}

/** One who waits for the simulation to come somewhere. Asked when nothing is ready and microtasks have run out. */
export interface Driver {
  /** The instant (ms since the epoch) that must not be passed by; undefined when there is none. */
  readonly target: number | undefined;
  /** Whether time may move on to the next timer. */
  moves(course: Course): boolean;
  /** Whether it is there. */
  arrived(course: Course): boolean;
  /** Why it never will be there, asked where nothing moves any more and nobody has arrived. */
  stuck?(): Error | undefined;
  /** What it waits for in the world outside, as a sentence's subject; undefined when nothing. */
  outside(): string | undefined;
}

const nothing = (): undefined => undefined;

/** Until nothing is ready; time stands still. */
export const STILL: Driver = {
  target: undefined,
  moves: () => false,
  arrived: () => true,
  outside: nothing,
};

/** Until this instant has come and all that was due by then has happened. */
export function untilInstant(target: number): Driver {
  return {
    target,
    moves: ({ next }) => next <= target,
    arrived: ({ now, next }) => now >= target && next > now,
    outside: nothing,
  };
}

/** Until nothing is left to be done, however long that takes. */
export const UNTIL_IDLE: Driver = {
  target: undefined,
  moves: ({ works }) => works,
  arrived: ({ works }) => !works,
  outside: nothing,
};

/** Until some work has settled that was begun outside of the simulation. */
export class UntilSettled implements Driver {
  readonly target = undefined;
  readonly #parts: SettledParts;
  /** Whether it has. */
  settled = false;

  constructor(parts: SettledParts) {
    this.#parts = parts;
  }

  moves({ works }: Course): boolean {
    return this.#parts.time && !this.settled && works && this.#parts.inside();
  }

  arrived(): boolean {
    return this.settled;
  }

  stuck(): Error | undefined {
    return this.settled ? undefined : this.#parts.stuck();
  }

  outside(): string | undefined {
    return this.settled || this.#parts.inside() ? undefined : this.#parts.name;
  }
}

/** What such work is. */
export interface SettledParts {
  /** A sentence's subject. */
  readonly name: string;
  /** Whether time may move for it. */
  readonly time: boolean;
  /** Whether it waits for something inside. */
  inside(): boolean;
  /** The error where nothing is left that could bring what it waits for. */
  stuck(): Error;
}
