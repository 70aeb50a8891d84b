/**
 * How many may do something at once.
 *
 * @module
 */
import type { Clock } from "../lib/port.ts";

/** So many places; who finds none free waits in line. */
export class Places {
  #free: number;
  readonly #waiting: Set<() => void> = new Set();

  /** @param count how many there are */
  constructor(count: number) {
    this.#free = count;
  }

  /** Takes a place, as soon as one is free: whether there was one within `timeout` ms. Who got one must `leave`. */
  async take(clock: Clock, timeout: number): Promise<boolean> {
    if (this.#free > 0) {
      this.#free--;
      return true;
    }
    return await new Promise<boolean>((resolve) => {
      const timer = clock.after(timeout, () => {
        this.#waiting.delete(go);
        resolve(false);
      });
      const go = (): void => {
        timer.cancel();
        resolve(true);
      };
      this.#waiting.add(go);
    });
  }

  /** Gives the place to whoever waits longest. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
    } else {
      this.#waiting.delete(next);
      next();
    }
  }
}
