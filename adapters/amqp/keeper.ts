/**
 * Keeps something attached to a link: attaches it on each connection, and again when it comes off.
 *
 * @module
 */
import { backoffDelay } from "./backoff.ts";
import type { Epoch } from "./epoch.ts";
import { sleep } from "./limit.ts";
import type { Link } from "./link.ts";
import type { Settings } from "./options.ts";

/** What stayed attached this long was sound: the next failure counts as the first, ms. */
const GOOD_LIFE = 5000;

/** What stands. */
export interface Attached {
  /** Resolves when it came off: why, or undefined where that was wanted. */
  readonly off: Promise<Error | undefined>;
}

/** What is kept. */
export interface Kept {
  readonly link: Link;
  readonly settings: Settings;
  readonly signal: AbortSignal;
  /** Attaches; resolves once that stands. */
  attach(epoch: Epoch): Promise<Attached>;
  /** It did not attach, or came off, and not because the connection went; true goes on, `retryIn` ms later. */
  failed(error: Error, retryIn: number): boolean;
}

/** Runs until `signal` aborts or `failed` says no. Never rejects. */
export async function keep({ link, settings, signal, attach, failed }: Kept): Promise<void> {
  const { clock, random } = settings.platform;
  const held = link.hold();
  let failures = 0;
  try {
    while (!signal.aborted) {
      const epoch = await unlessAborted(link.up(), signal);
      if (epoch === undefined) return;
      const started = clock.now();
      let error: Error | undefined;
      try {
        const { off } = await attach(epoch);
        error = await unlessAborted(epoch.rpc(off), signal);
      } catch (caught) {
        error = caught instanceof Error ? caught : new Error(String(caught));
      }
      if (signal.aborted) return;
      // The link reports its own losses and paces its own returns.
      if (epoch.lost !== undefined) continue;
      failures = clock.now() - started >= GOOD_LIFE ? 1 : failures + 1;
      const retryIn = backoffDelay(failures, settings.reconnect, random);
      if (error !== undefined && !failed(error, retryIn)) return;
      await sleep(retryIn, clock, signal);
    }
  } finally {
    held[Symbol.dispose]();
  }
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      signal.removeEventListener("abort", end);
      resolve(undefined);
    };
    if (signal.aborted) return end();
    signal.addEventListener("abort", end);
    promise.then((value) => {
      signal.removeEventListener("abort", end);
      resolve(value);
    }, (error: unknown) => {
      signal.removeEventListener("abort", end);
      reject(error);
    });
  });
}
