/**
 * How many unsettled messages a worker asks for.
 *
 * @module
 */

/** AMQP's field has 16 bits. */
const MOST = 65_535;

/** How far held messages may widen the prefetch where they cannot be parked; what comes beyond holds up its queue. */
const WIDEST = 10_000;

/** So many messages of one queue, at most, are parked at a time beside its window: each waits for the broker's disk. */
export const PARKS = 512;

/** Messages of one queue that wait for their ETA here, and those on their way to where the broker keeps them. */
export interface Waiting {
  readonly held: number;
  readonly parking: number;
}

/** How many messages of any one queue wait beyond the room that its window has for them. */
export function beyondRoom(queues: Iterable<Waiting>, room: number): number {
  const all = [...queues].map(({ held, parking }) => held + Math.min(parking, PARKS) - room);
  return Math.max(0, ...all);
}

/** How far held messages may widen the prefetch, with the app's own `limit` on them. */
export function widestFor(limit: number): number {
  return Math.min(WIDEST, limit);
}

/**
 * The prefetch of each queue: concurrency times multiplier, shared out evenly (contract: prefetch is per queue), but never below the
 * concurrency, so that one busy queue among many idle ones can fill every slot. 0, which is unlimited, for the multiplier 0.
 */
export function prefetchWindow(concurrency: number, multiplier: number, queues: number): number {
  if (multiplier === 0) return 0;
  const share = Math.floor((concurrency * multiplier) / Math.max(1, queues));
  return Math.min(MOST, Math.max(share, concurrency));
}

/**
 * How many messages of one queue may be held for their ETA where the rest can be parked: half of the window, so that ready ones always pass,
 * and no more than `limit` (`worker_eta_task_limit`).
 *
 * @param prefetch the queue's window; 0 is unlimited
 */
export function holdingRoom(prefetch: number, limit: number): number {
  return Math.min(Math.floor((prefetch === 0 ? WIDEST : prefetch) / 2), limit);
}

/**
 * The prefetch while `held` messages of one queue wait for their ETA (Celery adds one for each held message). It moves in steps of
 * doubling, because a new prefetch costs the broker a new consumer, and shrinks only when three quarters of the width lie idle.
 *
 * @param base the prefetch without held messages; 0 is unlimited and stays so
 * @param width what was added to it so far
 * @param limit how far it may be widened
 * @returns the new width
 */
export function widen(base: number, width: number, held: number, limit: number): number {
  if (base === 0) return 0;
  const most = Math.min(limit, MOST - base);
  let next = width;
  while (next < held && next < most) next = Math.min(most, Math.max(base, next * 2));
  while (next > base && held <= next / 4) next = Math.floor(next / 2);
  return held === 0 ? 0 : next;
}
