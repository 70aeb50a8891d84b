/**
 * How often an empty queue is looked at. Pure.
 *
 * @module
 */

import type { Random } from "../../../src/lib/port.ts";

/** The bounds, ms. */
export interface Pace {
  /** After something came. */
  readonly shortest: number;
  /** After a long time in which nothing came. */
  readonly longest: number;
  /** How often a consumer that may take nothing says that it lives, and learns that the server does. */
  readonly full: number;
}

/** Over a connection. */
export const CONNECTED: Pace = { shortest: 10, longest: 250, full: 5000 };

const GROWTH = 1.5;

/** The next pause, ms: after a claim that brought something the shortest, else longer than the one before. */
export function nextPause(last: number, brought: number, { shortest, longest }: Pace): number {
  return brought > 0 ? shortest : Math.min(longest, Math.max(shortest, last * GROWTH));
}

/** The pause after so many failures in a row, ms: half of it by chance. */
export function backoff(failures: number, random: Random): number {
  const pause = Math.min(FAILED.longest, FAILED.first * 2 ** Math.min(failures - 1, 10));
  return Math.round(pause * (0.5 + random.next() / 2));
}

const FAILED = { first: 50, longest: 5000 };
