/**
 * Waiting until a worker stops, however many wait.
 *
 * @module
 */
import type { Clock } from "../lib/port.ts";

/** Who waits for a signal: it has one listener of ours, as a host warns of more than ten. */
const sleepers = new WeakMap<AbortSignal, Set<() => void>>();

/** Resolves after `ms`, or as soon as the signal is aborted; then no timer is left. */
export function doze(clock: Pick<Clock, "after">, ms: number, stopping: AbortSignal): Promise<void> {
  if (stopping.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wakers = wakersOf(stopping);
    const end = (): void => {
      timer.cancel();
      wakers.delete(end);
      resolve();
    };
    const timer = clock.after(ms, end);
    wakers.add(end);
  });
}

function wakersOf(stopping: AbortSignal): Set<() => void> {
  const known = sleepers.get(stopping);
  if (known !== undefined) return known;
  const wakers = new Set<() => void>();
  sleepers.set(stopping, wakers);
  stopping.addEventListener("abort", () => [...wakers].forEach((wake) => wake()), { once: true });
  return wakers;
}
