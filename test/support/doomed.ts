/**
 * A worker in a process of its own that does as it is told: it dies at a named point, sets its clock, lets a task end. And a clock that can
 * be set wrong.
 *
 * @module
 */
import { deferred } from "../../src/lib/deferred.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Platform } from "../../src/lib/port.ts";
import type { NewEntry } from "../../src/testing/entry.ts";
import type { KillOptions } from "../../src/testing/faults/faults.ts";
import { type Child, startChild } from "./child.ts";

/** What it is told; `release` is the number of a task that may end. */
export type Order =
  | { readonly kill: Required<KillOptions> }
  | { readonly skew: number }
  | { readonly release: number }
  | { readonly stop: true };

/** What it tells, one line of JSON each: what happened in it, which order is in force, at which point it dies now. */
export type Told = NewEntry | { readonly obeyed: number } | { readonly died: string };

/** How it is started. */
export interface DoomedOptions {
  readonly command: readonly string[];
  /** Told of what happens in it, in order. */
  readonly onEntry: (entry: NewEntry) => void;
  /** Told when it dies of an order; everything that it did was told before. */
  readonly onDeath: (point: string) => void;
}

/** See the module. */
export class Doomed implements AsyncDisposable {
  readonly child: Child;
  readonly #waiting: Map<number, () => void> = new Map();
  #orders = 0;

  constructor({ command: [program = "", ...args], onDeath, onEntry }: DoomedOptions) {
    this.child = startChild(program, args);
    this.child.onLine((line) => {
      if (!line.startsWith("{")) return;
      const told = JSON.parse(line) as Told;
      if ("died" in told) onDeath(told.died);
      else if ("obeyed" in told) this.#waiting.get(told.obeyed)?.();
      else onEntry(told);
    });
  }

  /** Whether it runs. */
  get lives(): boolean {
    return this.child.ended === undefined;
  }

  /** Resolves when the order is in force, or it is dead. */
  async order(order: Order): Promise<void> {
    const number = ++this.#orders;
    const { promise, resolve } = deferred<void>();
    this.#waiting.set(number, resolve);
    this.child.write(`${JSON.stringify({ number, ...order })}\n`);
    await Promise.race([promise, this.child.end]);
    this.#waiting.delete(number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.stop("SIGKILL");
  }
}

/** The real ports, but for a wall clock that can be set wrong: timers and durations are not touched. */
export function skewable(): { readonly platform: Platform; readonly skew: (ms: number) => void } {
  const { clock } = systemPlatform;
  let off = 0;
  return {
    platform: { ...systemPlatform, clock: { ...clock, now: () => clock.now() + off } },
    skew: (ms) => void (off = ms),
  };
}
