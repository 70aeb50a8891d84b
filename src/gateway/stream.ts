/**
 * Subscriptions as server-sent events: `data: subscribe,<channel>,1`, then `data: message,<channel>,<text>`.
 *
 * @module
 */
import type { Clock, Timer } from "../lib/port.ts";
import { Refusal } from "./fault.ts";
import { isReply, type Line } from "./line.ts";
import type { Link } from "./link.ts";

/** What is listened to. */
export interface Wanted {
  readonly kind: "subscribe" | "psubscribe";
  /** A channel, or a pattern. */
  readonly name: string;
}

/** What a stream needs besides. */
export interface StreamOptions {
  readonly clock: Clock;
  /** How often a silent stream says a word, ms. */
  readonly heartbeat: number;
  /** Ends the stream: the client went away. */
  readonly signal: AbortSignal;
  /** Called once, when the stream is over. */
  readonly done: () => void;
}

/** Opens a connection, listens, and gives what comes until the client, Redis or the gateway ends it. */
export async function openStream(
  link: Link,
  { kind, name }: Wanted,
  options: StreamOptions,
): Promise<ReadableStream<Uint8Array>> {
  const { clock, heartbeat, signal, done } = options;
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let line: Line | undefined;
  let timer: Timer | undefined;
  let over = false;

  const end = (): void => {
    if (over) return;
    over = true;
    timer?.cancel();
    signal.removeEventListener("abort", end);
    if (line !== undefined) link.release(line);
    try {
      controller?.close();
    } catch {
      // The client had gone first.
    }
    done();
  };
  const say = (text: string): void => {
    if (over) return;
    // Who does not read is not waited for: memory has a bound.
    if ((controller?.desiredSize ?? 0) < 0) return end();
    controller?.enqueue(new TextEncoder().encode(text));
    timer?.cancel();
    timer = clock.after(heartbeat, () => say(": alive\n\n"));
  };

  // A message that comes with the same bytes as the subscription's own answer is told after it.
  let early: string[] | undefined = [];
  const hear = (text: string): void => void (early === undefined ? say(text) : early.push(text));

  try {
    line = await link.open(end);
    const { redis } = line;
    const stream = new ReadableStream<Uint8Array>({
      start: (given) => void (controller = given),
      cancel: end,
    }, new ByteLengthQueuingStrategy({ highWaterMark: MOST_UNREAD }));
    redis.on(
      "messageBuffer",
      (channel: Uint8Array, message: Uint8Array) => hear(event("message", channel, message)),
    );
    redis.on(
      "pmessageBuffer",
      (pattern: string, channel: Uint8Array, message: Uint8Array) =>
        hear(event("pmessage", pattern, channel, message)),
    );
    const count = await (kind === "subscribe" ? redis.subscribe(name) : redis.psubscribe(name));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    for (const text of [event(kind, name, String(count)), ...early]) say(text);
    early = undefined;
    return stream;
  } catch (error) {
    end();
    throw refused(error);
  }
}

function refused(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Refusal) return error;
  if (isReply(error)) return new Refusal(400, error.message);
  return new Refusal(502, "ERR the gateway lost its Redis");
}

/** Bytes that a slow client may leave unread before it is let go. */
const MOST_UNREAD = 8 * 1024 * 1024;

/** One event; a message of several lines takes as many "data:" lines. */
export function event(...parts: readonly (string | Uint8Array)[]): string {
  const text = parts.map((part) => typeof part === "string" ? part : new TextDecoder().decode(part)).join(
    ",",
  );
  return `${text.split(/\r\n|\r|\n/).map((row) => `data: ${row}`).join("\n")}\n\n`;
}
