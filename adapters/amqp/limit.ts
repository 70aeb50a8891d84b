/**
 * Waiting with an end: by deadline, by abort.
 *
 * @module
 */
import type { Call } from "../../src/broker.ts";
import { ConnectionError } from "../../src/errors.ts";
import type { Clock } from "../../src/lib/port.ts";

/** Throws where the call is over before it begins: what ends it, as {@link within} does. */
export function demandTime({ signal, deadline }: Call, clock: Clock, what: string): void {
  signal?.throwIfAborted();
  if (deadline !== undefined && deadline <= clock.now()) throw late(what);
}

/**
 * `promise`, or an error at the call's deadline (`broker-timeout`) or abort (the signal's reason). What `promise` does afterwards is
 * nobody's concern.
 */
export function within<T>(promise: Promise<T>, call: Call, clock: Clock, what: string): Promise<T> {
  const { signal, deadline } = call;
  if (signal === undefined && deadline === undefined) return promise;
  return new Promise((resolve, reject) => {
    const timer = deadline === undefined ? undefined : clock.after(
      deadline - clock.now(),
      () => done(() => reject(late(what))),
    );
    const onAbort = (): void => done(() => reject(signal?.reason));
    const done = (finish: () => void): void => {
      timer?.cancel();
      signal?.removeEventListener("abort", onAbort);
      finish();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    promise.then((value) => done(() => resolve(value)), (error) => done(() => reject(error)));
  });
}

function late(what: string): ConnectionError {
  return new ConnectionError("broker-timeout", `${what} was not done by its deadline.`);
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export function sleep(ms: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const end = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.after(ms, end);
    signal?.addEventListener("abort", end, { once: true });
  });
}
