/**
 * A pause that can be cut short.
 *
 * @module
 */
import type { Clock, Timer } from "../../../src/lib/port.ts";

/** See the module. One waits at a time. */
export class Bell {
  readonly #clock: Clock;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the wait; where nobody waits, the next one does not begin. */
  ring(): void {
    if (this.#wake === undefined) this.#rung = true;
    else this.#wake();
  }

  /** Resolves after `ms`, or when it rings. */
  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      let timer: Timer | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = this.#clock.after(ms, resolve);
      });
      timer?.cancel();
      this.#wake = undefined;
    }
    this.#rung = false;
  }
}
