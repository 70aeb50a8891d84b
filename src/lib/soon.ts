/**
 * Waiting for work no longer than one likes.
 *
 * @module
 */
import { deferred } from "./deferred.ts";
import type { Clock } from "./port.ts";

/** What the work comes to, or undefined where that takes longer than `ms`: it goes on then, and keeps no process open. */
export async function soon<T>(
  work: Promise<T>,
  ms: number,
  clock: Pick<Clock, "after">,
): Promise<T | undefined> {
  const { promise: late, resolve } = deferred<undefined>();
  const timer = clock.after(ms, () => resolve(undefined), { keepAlive: false });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.cancel();
  }
}
