/**
 * A clock that a test moves by hand.
 *
 * @module
 */
import type { Clock } from "../../src/lib/port.ts";

/** Timers that fire when told so; time only moves by `run`. */
export class HandClock implements Clock {
  time = 0;
  readonly #due: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.time;
  }

  elapsed(): number {
    return this.time;
  }

  after(ms: number, callback: () => void): { cancel(): void } {
    const entry = { at: this.time + ms, callback };
    this.#due.push(entry);
    return {
      cancel: () => {
        const at = this.#due.indexOf(entry);
        if (at >= 0) this.#due.splice(at, 1);
      },
    };
  }

  soon(callback: () => void): void {
    callback();
  }

  /** Timers that wait. */
  get armed(): number {
    return this.#due.length;
  }

  /** Moves on by `ms` in small steps. */
  run(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      this.#due.sort((a, b) => a.at - b.at);
      const next = this.#due[0];
      if (next === undefined || next.at > end) break;
      this.#due.shift();
      this.time = Math.max(this.time, next.at);
      next.callback();
    }
    this.time = end;
  }

  /** The event loop was blocked for `ms`: what fell due fires once, late. */
  block(ms: number): void {
    this.time += ms;
  }
}
