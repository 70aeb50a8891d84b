/**
 * Heartbeats both ways. The library only echoes: a consumer that receives without acking would be taken for dead by the broker, and
 * writing into a dead link hides the silence from the socket's own timeout.
 *
 * @module
 */
import type { Clock, Timer } from "../../src/lib/port.ts";

/** Ticks per heartbeat interval. */
const FINENESS = 4;

/** Sends one heartbeat every half interval and calls `silent` when nothing came for two intervals (noticed within a quarter more). */
export class Heartbeat implements Disposable {
  readonly #clock: Clock;
  readonly #every: number;
  readonly #send: () => void;
  readonly #silent: () => void;
  #timer: Timer | undefined;
  #ticks = 0;
  #quiet = 0;

  constructor(clock: Clock, interval: number, send: () => void, silent: () => void) {
    this.#clock = clock;
    this.#every = interval / FINENESS;
    this.#send = send;
    this.#silent = silent;
    this.#arm();
  }

  /** Something came. */
  received(): void {
    this.#quiet = 0;
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.after(this.#every, () => this.#tick(), { keepAlive: false });
  }

  #tick(): void {
    // Ticks are counted, not time: after a blocked event loop one late tick comes, then the waiting bytes are read.
    if (++this.#quiet > 2 * FINENESS) {
      this.#timer = undefined;
      this.#silent();
      return;
    }
    if (++this.#ticks % (FINENESS / 2) === 0) this.#send();
    this.#arm();
  }
}
