/**
 * A platform whose time is moved by hand, and that tells what was asked of it.
 *
 * @module
 */
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Clock, Platform, Timer } from "../../src/lib/port.ts";

interface Waiting {
  readonly at: number;
  readonly order: number;
  readonly keepAlive: boolean;
  readonly callback: () => void;
}

/** A clock that stands still. */
export class ManualClock implements Clock {
  #now = 1_000_000;
  #order = 0;
  readonly #waiting: Set<Waiting> = new Set<Waiting>();
  /** Calls of everything but `now` and `elapsed`. */
  calls = 0;

  /** Timers that wait. */
  get waiting(): readonly { readonly at: number; readonly keepAlive: boolean }[] {
    return [...this.#waiting];
  }

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  after(
    ms: number,
    callback: () => void,
    { keepAlive = true }: { readonly keepAlive?: boolean } = {},
  ): Timer {
    this.calls++;
    const one: Waiting = { at: this.#now + ms, order: this.#order++, keepAlive, callback };
    this.#waiting.add(one);
    return { cancel: () => void this.#waiting.delete(one) };
  }

  soon(callback: () => void): void {
    this.calls++;
    queueMicrotask(callback);
  }

  /** Lets time pass and everything that follows from it happen. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await quiet();
    for (;;) {
      const [next] = [...this.#waiting].filter(({ at }) => at <= end).sort((a, b) =>
        a.at - b.at || a.order - b.order
      );
      if (next === undefined) break;
      this.#waiting.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await quiet();
    }
    this.#now = end;
  }
}

/** Lets what is queued as microtasks run, and what those queue. */
export async function quiet(): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, 0));
}

/** A platform on such a clock. */
export function manualPlatform(
  clock: ManualClock = new ManualClock(),
): Platform & { readonly clock: ManualClock } {
  const ids = {
    uuid: () => {
      clock.calls++;
      return systemPlatform.ids.uuid();
    },
  };
  return { ...systemPlatform, clock, ids };
}
