/**
 * Waiting that leaves nothing behind.
 *
 * @module
 */
import type { Clock } from "./port.ts";

/** Resolves after `ms`, or when one of the signals aborts, which none has yet; then neither timer nor listener is left. */
export function pause(
  clock: Pick<Clock, "after">,
  ms: number,
  ...signals: readonly (AbortSignal | undefined)[]
): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      for (const signal of signals) signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.after(ms, end);
    for (const signal of signals) signal?.addEventListener("abort", end);
  });
}
