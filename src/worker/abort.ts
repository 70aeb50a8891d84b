/**
 * Waiting that a stop cuts short.
 *
 * @module
 */
import { deferred } from "../lib/deferred.ts";

/**
 * True once `work` is done, false as soon as `signal` is aborted: what comes of the work then, an error included, concerns nobody. Throws the
 * error of the work where that came first.
 */
export async function unlessAborted(work: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  const { promise: aborted, resolve } = deferred<void>();
  const leave = (): void => resolve();
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    await Promise.race([work, aborted]);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", leave);
  }
  return !signal.aborted;
}
