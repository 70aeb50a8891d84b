/**
 * What the tests of Redis over HTTP share: messages, a clock that counts its timers, errors shown in every way.
 *
 * @module
 */
import { inspect } from "node:util";
import type { Message, Outgoing } from "../../src/broker.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Platform } from "../../src/lib/port.ts";

/** A marker that every payload of these tests holds, and no error may. */
export const PAYLOAD = "payload-5c1e";

/** A marker that every token of these tests holds, and no error may. */
export const TOKEN = "token-8b2f-canary";

/** A task message with the marker in its body, its headers and its arguments' text. */
export function message(properties: Readonly<Record<string, unknown>> = {}): Message {
  return {
    headers: { lang: "py", task: "tests.http", argsrepr: `('${PAYLOAD}',)` },
    properties: { correlation_id: "id", reply_to: "", delivery_mode: 2, priority: 0, ...properties },
    contentType: "application/json",
    contentEncoding: "utf-8",
    body: new TextEncoder().encode(`[["${PAYLOAD}"], {}, {}]`),
  };
}

/** The message to a queue by the default exchange. */
export function outgoing(queue: string, properties?: Readonly<Record<string, unknown>>): Outgoing {
  return { message: message(properties), to: { exchange: "", routingKey: queue }, mustRoute: true };
}

/** The system's platform, with the timers that wait. */
export function countingPlatform(): { readonly platform: Platform; readonly waiting: Set<number> } {
  const waiting = new Set<number>();
  let last = 0;
  const { clock } = systemPlatform;
  return {
    waiting,
    platform: {
      ...systemPlatform,
      clock: {
        ...clock,
        after(ms, callback, options) {
          const id = ++last;
          waiting.add(id);
          const timer = clock.after(ms, () => {
            waiting.delete(id);
            callback();
          }, options);
          return {
            cancel() {
              waiting.delete(id);
              timer.cancel();
            },
          };
        },
      },
    },
  };
}

/** Everything that a log could show of an error, its causes included. */
export function shown(error: unknown): string {
  const { message: said, stack, cause } = Object(error) as Error;
  const rest = cause === undefined ? "" : shown(cause);
  return [
    said,
    stack,
    JSON.stringify(error),
    inspect(error, { depth: 20, showHidden: true }),
    rest,
  ].join("\n");
}

/** What a call threw, and after how many ms. */
export async function failure(
  call: () => Promise<unknown>,
): Promise<{ error: Error & { code?: string }; ms: number }> {
  const begun = performance.now();
  try {
    await call();
  } catch (error) {
    return { error: error as Error, ms: performance.now() - begun };
  }
  throw new Error("it did not fail");
}
