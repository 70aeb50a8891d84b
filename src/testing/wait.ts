/**
 * Waiting for a condition instead of for an amount of time.
 *
 * @module
 */
import { systemPlatform } from "../lib/platform.ts";
import { AssertionError } from "./assert.ts";

/** How long and for what `until` waits. */
export interface UntilOptions {
  /** What the error says was awaited. */
  readonly what: string;
  /**
   * Longest wait in ms.
   *
   * @default 10000
   */
  readonly deadline?: number;
  /**
   * Pause between two looks in ms.
   *
   * @default 10
   */
  readonly every?: number;
  /** What there was instead, asked when the time is over. */
  readonly seen?: () => string;
}

/** What ends a wait. */
export type Truthy<T> = Exclude<T, false | 0 | "" | null | undefined>;

/** A pause; only for pacing a loop that watches a condition. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void systemPlatform.clock.after(ms, resolve));
}

/**
 * Looks until `condition` gives something truthy and returns that; a thrown error counts as "not yet" and becomes the cause of the
 * failure.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: UntilOptions,
): Promise<Truthy<T>> {
  const { what, deadline = 10_000, every = 10, seen } = options;
  const { clock } = systemPlatform;
  const end = clock.elapsed() + deadline;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Truthy<T>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (clock.elapsed() >= end) {
      const instead = seen === undefined ? "" : `, got ${seen()}`;
      throw new AssertionError(`not within ${deadline} ms: ${what}${instead}`, { cause: last });
    }
    await pause(every);
  }
}
