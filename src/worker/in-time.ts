/**
 * Questions to the backend that a message waits for.
 *
 * @module
 */
import { deferred } from "../lib/deferred.ts";
import type { Clock } from "../lib/port.ts";

/** A task waits no longer than this for each answer, ms. */
const PATIENCE = 5000;

/** What comes of the work; rejects where that takes too long. */
export async function inTime<T>(clock: Pick<Clock, "after">, work: Promise<T>): Promise<T> {
  const { promise, reject } = deferred<never>();
  const timer = clock.after(PATIENCE, () => reject(new Error("the backend did not answer")));
  try {
    return await Promise.race([work, promise]);
  } finally {
    timer.cancel();
  }
}
