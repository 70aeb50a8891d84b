/**
 * A bare client beside ours, for what does not run under vitest, too.
 *
 * @module
 */
import { Redis } from "ioredis";

/** To be closed. */
export function bareClientOf(url: string): Redis & AsyncDisposable {
  const redis = new Redis(url, { protocol: 2 });
  redis.on("error", () => {});
  return Object.assign(redis, {
    [Symbol.asyncDispose]: () => {
      redis.disconnect();
      return Promise.resolve();
    },
  });
}
