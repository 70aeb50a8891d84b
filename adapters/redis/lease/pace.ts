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
  /** The same where the server tells of changes. */
  readonly told: number;
  /** How often a consumer that may take nothing says that it lives, and learns that the server does. */
  readonly full: number;
}

/** Over a connection: where the server tells of changes, a look a second is for what it may have missed, and a sign of life. */
export const CONNECTED: Pace = { shortest: 10, longest: 250, told: 1000, full: 5000 };

const GROWTH = 1.5;

/** The next pause, ms: after a claim that brought something the shortest, else longer than the one before. */
export function nextPause(
  last: number,
  brought: number,
  { shortest, longest, told }: Pace,
  isTold: boolean,
): number {
  return brought > 0 ? shortest : Math.min(isTold ? told : longest, Math.max(shortest, last * GROWTH));
}

/**
 * How long to wait after the news of a change, ms: everybody hears it, and who came for nothing so many times in a row lets others go first.
 */
export function reaction(misses: number, random: Random): number {
  return misses === 0 ? 0 : random.next() * Math.min(CROWDED, 2 ** Math.min(misses, 10));
}

/** The longest such wait, ms. */
const CROWDED = 100;

/** The pause after so many failures in a row, ms: half of it by chance. */
export function backoff(failures: number, random: Random): number {
  const pause = Math.min(FAILED.longest, FAILED.first * 2 ** Math.min(failures - 1, 10));
  return Math.round(pause * (0.5 + random.next() / 2));
}

const FAILED = { first: 50, longest: 5000 };
