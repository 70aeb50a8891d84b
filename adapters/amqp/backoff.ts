/**
 * Exponential backoff with full jitter.
 *
 * @module
 */
import type { Random } from "../../src/lib/port.ts";

/** The bounds, ms. */
export interface Backoff {
  readonly min: number;
  readonly max: number;
}

/** How long to wait after `failures` failures in a row (1 is the first), ms: anything from 0 to `min`, `2 min`, `4 min` … up to `max`. */
export function backoffDelay(failures: number, { min, max }: Backoff, random: Random): number {
  return Math.round(random.next() * Math.min(max, min * 2 ** Math.min(failures - 1, 30)));
}
