/**
 * How long one call waits: until its deadline, or until its signal is aborted. One timer, however many waits.
 *
 * @module
 */
import type { Clock, Timer } from "../../src/lib/port.ts";

/** What ends a wait. */
export interface Limits {
  readonly signal?: AbortSignal | undefined;
  /** ms since the epoch. */
  readonly deadline?: number | undefined;
  /** The error at the deadline. */
  readonly late?: () => Error;
}

/** See the module. To be ended, or its timer stays. */
export class Patience {
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: Timer | undefined;
  readonly #over: Promise<never>;
  #onAbort: (() => void) | undefined;
  #isOver = false;

  constructor(clock: Clock, { signal, deadline, late }: Limits) {
    this.#clock = clock;
    this.#signal = signal;
    let over!: (reason: unknown) => void;
    this.#over = new Promise<never>((_resolve, reject) => {
      over = (reason) => {
        this.#isOver = true;
        reject(reason);
      };
    });
    // It may end while nobody waits.
    this.#over.catch(() => {});
    if (deadline !== undefined) {
      this.#timer = clock.after(deadline - clock.now(), () => over(late?.() ?? new Error("too late")));
    }
    if (signal?.aborted) over(signal.reason);
    else if (signal !== undefined) {
      this.#onAbort = () => over(signal.reason);
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
  }

  /** Whether the deadline was met or the signal aborted. */
  get over(): boolean {
    return this.#isOver;
  }

  /** The promise's outcome, or the error of what ended the wait first. */
  for<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#over]);
  }

  /** Waits for `ms`. */
  async pause(ms: number): Promise<void> {
    if (ms <= 0) return this.#signal?.throwIfAborted();
    let timer: Timer | undefined;
    try {
      await this.for(new Promise<void>((resolve) => timer = this.#clock.after(ms, resolve)));
    } finally {
      timer?.cancel();
    }
  }

  /** Nothing is waited for any more. */
  end(): void {
    this.#timer?.cancel();
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
