/**
 * Waiting for a condition instead of for an amount of time.
 *
 * @module
 */

/** How long and for what `until` waits. */
export interface UntilOptions {
  /** What the error says was awaited. */
  readonly what: string;
  /** Longest wait in ms, 10000 by default. */
  readonly deadline?: number;
  /** Pause between two looks in ms, 10 by default. */
  readonly every?: number;
}

type Truthy<T> = Exclude<T, false | 0 | "" | null | undefined>;

/** A pause; only for pacing a loop that watches a condition. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Looks until `condition` gives something truthy and returns that; a thrown error counts as "not yet" and becomes
 * the cause of the failure.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: UntilOptions,
): Promise<Truthy<T>> {
  const { what, deadline = 10_000, every = 10 } = options;
  const end = performance.now() + deadline;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Truthy<T>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= end) throw new Error(`not within ${deadline} ms: ${what}`, { cause: last });
    await pause(every);
  }
}
