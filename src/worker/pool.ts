/**
 * The loop pool: tasks share this thread's event loop, and a slot bounds how many of them run at a time.
 *
 * @module
 */
import { deferred } from "../lib/deferred.ts";
import type { Pool, Slot } from "../pool.ts";

interface Waiter {
  grant(slot: Slot): void;
}

/** Gives up to `size` slots at a time, first come, first served. */
export class LoopPool implements Pool {
  readonly kind = "loop";
  readonly #pid: number;
  /** A Set keeps the order of arrival and forgets an aborted waiter at once. */
  readonly #waiting = new Set<Waiter>();
  #size: number;
  #busy = 0;

  /** `size` slots (1 or more); `pid` is what every slot shows. */
  constructor(size: number, pid: number) {
    this.#size = size;
    this.#pid = pid;
  }

  get size(): number {
    return this.#size;
  }

  get busy(): number {
    return this.#busy;
  }

  acquire(signal?: AbortSignal): Slot | Promise<Slot> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#busy < this.#size && this.#waiting.size === 0) return this.#open();
    return this.#wait(signal);
  }

  resize(size: number): void {
    this.#size = size;
    this.#grant();
  }

  #wait(signal: AbortSignal | undefined): Promise<Slot> {
    const { promise, resolve, reject } = deferred<Slot>();
    const waiter: Waiter = {
      grant(slot) {
        signal?.removeEventListener("abort", leave);
        resolve(slot);
      },
    };
    const leave = (): void => {
      this.#waiting.delete(waiter);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    this.#waiting.add(waiter);
    return promise;
  }

  #open(): Slot {
    this.#busy++;
    let held = true;
    return {
      pid: this.#pid,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#busy--;
        this.#grant();
      },
    };
  }

  #grant(): void {
    for (const waiter of this.#waiting) {
      if (this.#busy >= this.#size) return;
      this.#waiting.delete(waiter);
      waiter.grant(this.#open());
    }
  }
}
