/**
 * Asks a pool for slots, one at a time, and again after a while where the pool is in trouble.
 *
 * @module
 */
import type { Timer } from "../lib/port.ts";
import type { Pool, Slot } from "../pool.ts";
import type { Env } from "./env.ts";
import { exceptionRepr } from "./lines.ts";
import { failed } from "./outcome.ts";

/** How long a pool in trouble is left alone, ms. */
const PAUSE = 1000;

/** The slots of one worker. */
export class Slots {
  readonly #env: Env;
  readonly #pool: Pool;
  readonly #given: (slot: Slot) => void;
  #asking = false;
  #pause: Timer | undefined;
  #stopped = false;

  /** `given` takes each slot that `next` could not return at once. */
  constructor(env: Env, pool: Pool, given: (slot: Slot) => void) {
    this.#env = env;
    this.#pool = pool;
    this.#given = given;
  }

  /** A slot that is free now; undefined where one is on its way to `given`. */
  next(): Slot | undefined {
    if (this.#asking) return undefined;
    try {
      const slot = this.#pool.acquire();
      if (!(slot instanceof Promise)) return slot;
      slot.then((given) => this.#give(given), (error: unknown) => this.#refused(error));
    } catch (error) {
      this.#refused(error);
    }
    this.#asking = true;
    return undefined;
  }

  /** Asks no more. A slot that comes all the same still goes to `given`. */
  stop(): void {
    this.#stopped = true;
    this.#pause?.cancel();
  }

  #give(slot: Slot): void {
    this.#asking = false;
    this.#given(slot);
  }

  /** A pool may be in trouble for a while, such as for want of a process: the tasks wait meanwhile. */
  #refused(error: unknown): void {
    const reason = exceptionRepr(failed(error).exception);
    const line = `The pool gives no slot: ${reason}. Asking again in 1 second.`;
    this.#env.logger.log("critical", line, { error });
    if (!this.#stopped) this.#pause = this.#env.clock.after(PAUSE, () => this.#again());
  }

  #again(): void {
    this.#asking = false;
    const slot = this.next();
    if (slot !== undefined) this.#give(slot);
  }
}
