/**
 * When a world reads what its clients sent: in microtasks, so that nothing waits for a timer.
 *
 * @module
 */
import type { Clock } from "../../src/lib/port.ts";

/** After so many ms of microtasks alone, timers and I/O of the process get their turn. */
const BREATH = 20;

/** Calls back soon after it is woken, once for however many times that was. */
export class Pump {
  readonly #clock: Clock;
  readonly #read: () => void;
  #awake = false;
  #breathedAt = 0;
  #breathing = false;

  constructor(clock: Clock, read: () => void) {
    this.#clock = clock;
    this.#read = () => {
      this.#awake = false;
      read();
    };
  }

  wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    const elapsed = this.#clock.elapsed();
    if (!this.#breathing) this.#breathe(elapsed);
    if (elapsed - this.#breathedAt < BREATH) this.#clock.soon(this.#read);
    else this.#clock.after(0, this.#read);
  }

  /** Notes when the process last got past the microtasks. */
  #breathe(elapsed: number): void {
    this.#breathing = true;
    this.#breathedAt = elapsed;
    this.#clock.after(0, () => this.#breathing = false, { keepAlive: false });
  }
}
