/**
 * The connection of one call, from the first byte to the goodbye.
 *
 * @module
 */
import type { AMQPBaseClient } from "@cloudamqp/amqp-client";
import { connectTimeout } from "./errors.ts";
import type { CallSettings } from "./options.ts";
import { nextOf, type Roads } from "./roads.ts";
import type { Sink, Wire } from "./wire.ts";

/** How long the answer to a goodbye is waited for, ms: nobody should wait longer for a verdict that is known. */
const GOODBYE = 250;

/** One connection. It ends once, with a reason. */
export interface Line {
  readonly client: AMQPBaseClient;
  /** The answer; rejects with the line's own reason where it ends first (the library leaves some promises pending then). */
  hold<T>(answer: Promise<T>): Promise<T>;
  /**
   * Says goodbye and ends; where the transport would drop the goodbye otherwise, its answer is waited for, a moment and at most `patience`
   * ms.
   */
  leave(patience: number): Promise<void>;
}

/**
 * Connects; rejects with a coded error after the settings' `connectTimeout` at the latest. When `stop` aborts, it says goodbye and ends with
 * that reason.
 */
export async function openLine(
  roads: Roads<Sink, CallSettings>,
  stop: AbortSignal,
): Promise<Line> {
  const { platform: { clock }, connectTimeout: ms, name } = roads.settings;
  const target = nextOf(roads);
  let fail!: (reason: unknown) => void;
  const ended = new Promise<never>((_, reject) => fail = reject);
  ended.catch(() => {});
  let over = false;
  let wire: Wire<Sink> | undefined;

  /** Frees the socket. */
  const end = (reason?: unknown): void => {
    over = true;
    fail(reason);
    wire?.destroy();
  };
  const hold = <T>(answer: Promise<T>): Promise<T> => Promise.race([ended, answer]);
  const leave = async (patience: number, reason?: unknown): Promise<void> => {
    if (!over && wire?.client.closed === false) {
      const answered = hold(wire.client.close()).catch(() => {});
      wire.out.flush();
      if (!wire.lingers && patience > 0) {
        const timer = clock.after(Math.min(patience, GOODBYE), end);
        await answered;
        timer.cancel();
      }
    }
    end(reason);
  };

  stop.addEventListener("abort", () => void leave(0, stop.reason));
  const timer = clock.after(ms, () => end(connectTimeout(target, ms)));
  // What is bounded by a deadline needs no heartbeat.
  const dialled = roads.dial(target, { name: `${name} publish`, heartbeat: 0 }, { lost: end }).then(
    (made) => {
      wire = made;
      if (over) wire.destroy();
      return made;
    },
  );
  try {
    const { client, opened } = await hold(dialled);
    await hold(opened);
    return { client, hold, leave };
  } finally {
    timer.cancel();
  }
}
