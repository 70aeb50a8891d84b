/**
 * An alarm clock for what happens in a world by time.
 *
 * @module
 */
import type { Clock, Timer } from "../../src/lib/port.ts";

/** Rings at the earliest instant for which it was set; one that rings early is not worth the setting of a later one. */
export class AlarmClock {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #due = Infinity;
  #timer: Timer | undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = () => {
      this.#due = Infinity;
      this.#timer = undefined;
      ring();
    };
  }

  /** By `due`, ms since the epoch, at the latest; undefined: nothing is due. */
  set(due: number = Infinity): void {
    if (due >= this.#due) return;
    this.#timer?.cancel();
    this.#due = due;
    this.#timer = this.#clock.after(Math.max(0, due - this.#clock.now()), this.#ring, { keepAlive: false });
  }
}
