/**
 * What a consumer does at the news of a change: everybody hears it, and only some come in time.
 *
 * @module
 */
import type { BasePlatform, Timer } from "../../../src/lib/port.ts";
import { reaction } from "./pace.ts";

/** See the module. */
export class News {
  readonly #platform: BasePlatform;
  readonly #ring: () => void;
  /** How often in a row they led to nothing. */
  #misses = 0;
  /** 1 from the news to the look that follows. */
  #woken = 0;
  #timer: Timer | undefined;

  /** `ring` begins the next look. */
  constructor(platform: BasePlatform, ring: () => void) {
    this.#platform = platform;
    this.#ring = ring;
  }

  /** Something has changed. */
  heard(): void {
    if (this.#timer !== undefined) return;
    const { clock, random } = this.#platform;
    this.#timer = clock.after(reaction(this.#misses, random), () => {
      this.#timer = undefined;
      this.#woken = 1;
      this.#ring();
    });
  }

  /** A look brought so many messages. */
  looked(came: number): void {
    this.#misses = came > 0 ? 0 : this.#misses + this.#woken;
    this.#woken = 0;
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
