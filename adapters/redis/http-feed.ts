/**
 * Channels over HTTP: one stream of server-sent events each, where the server has them. The wait that opened it ends it, and polls where it
 * does not tell.
 *
 * @module
 */
import { ConnectionError } from "../../src/errors.ts";
import type { Clock, Timer } from "../../src/lib/port.ts";
import type { Feed, FeedListener } from "./client.ts";

/** Streams of one wait. workerd lets a request have six connections, and reads need one. */
const MOST_STREAMS = 3;

/** How long a server may take to say that it listens, ms. */
const PATIENCE = 5000;

/** The pause before a stream that broke is opened again, ms. */
const PAUSE = 1000;

/** How long a message that was published before a read may be on its way, ms. */
const ON_ITS_WAY = 100;

/** A line longer than this is not waited for: the poll reads such a result. */
const LONGEST_LINE = 16 * 1024 * 1024;

/** A channel stands in a path, and between commas in the answers. */
const PLAIN = /^[\w.:@-]+$/;

/** Whether the server has streams, as far as is known; kept by the backend. */
export interface Streaming {
  refused: boolean;
}

/** The server, and what opens it. */
export interface Door {
  readonly url: string;
  readonly token: string;
}

/** {@link Feed} by streams. */
export class HttpFeed implements Feed {
  readonly #clock: Clock;
  readonly #door: Door;
  readonly #streaming: Streaming;
  readonly #listener: FeedListener;
  readonly #streams: Map<string, AbortController> = new Map();
  readonly #heard: Set<string> = new Set();
  readonly #timers: Set<() => void> = new Set();

  constructor(clock: Clock, door: Door, streaming: Streaming, listener: FeedListener) {
    this.#clock = clock;
    this.#door = door;
    this.#streaming = streaming;
    this.#listener = listener;
  }

  add(channel: string): void {
    if (this.#streaming.refused || this.#streams.size >= MOST_STREAMS || !PLAIN.test(channel)) return;
    const stop = new AbortController();
    this.#streams.set(channel, stop);
    void this.#follow(channel, stop.signal);
  }

  remove(channel: string): void {
    this.#streams.get(channel)?.abort();
    this.#streams.delete(channel);
    this.#heard.delete(channel);
  }

  hears(channel: string): boolean {
    return this.#heard.has(channel);
  }

  fence(): Promise<void> {
    return this.#heard.size === 0 ? Promise.resolve() : this.#pause(ON_ITS_WAY);
  }

  close(): Promise<void> {
    for (const channel of [...this.#streams.keys()]) this.remove(channel);
    for (const end of this.#timers) end();
    return Promise.resolve();
  }

  /** Keeps a stream open until it is stopped, or the server has none. */
  async #follow(channel: string, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const heard = await this.#stream(channel, stop);
      if (stop.aborted) return;
      this.#heard.delete(channel);
      if (heard) this.#listener.failed(new ConnectionError("backend-lost", "The stream of results ended."));
      // One that never spoke: this wait goes on without it.
      if (!heard || this.#streaming.refused) return;
      await this.#pause(PAUSE);
    }
  }

  /** One stream to its end; whether it told anything. */
  async #stream(channel: string, stop: AbortSignal): Promise<boolean> {
    const own = new AbortController();
    const end = (): void => own.abort();
    stop.addEventListener("abort", end, { once: true });
    const timer = this.#clock.after(PATIENCE, end);
    try {
      const { url, token } = this.#door;
      const response = await fetch(`${url}/subscribe/${encodeURIComponent(channel)}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
        signal: own.signal,
      });
      if (!response.ok || response.headers.get("content-type")?.startsWith("text/event-stream") !== true) {
        // 5xx and the like may pass; that there is no such path does not.
        this.#streaming.refused = response.ok || [400, 404, 405, 501].includes(response.status);
        await response.body?.cancel();
        return false;
      }
      for await (const line of lines(response.body)) this.#line(channel, line, timer);
    } catch {
      // Whatever it was: the poll tells.
    } finally {
      timer.cancel();
      stop.removeEventListener("abort", end);
      end();
    }
    return this.#heard.has(channel);
  }

  #line(channel: string, line: string, timer: Timer): void {
    if (line.startsWith(`data: subscribe,${channel},`)) {
      timer.cancel();
      this.#heard.add(channel);
      this.#listener.heard([channel]);
    }
    const message = `data: message,${channel},`;
    if (line.startsWith(message)) this.#listener.message(channel, line.slice(message.length));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#timers.delete(end);
        resolve();
      };
      const timer = this.#clock.after(ms, end);
      this.#timers.add(end);
    });
  }
}

async function* lines(body: ReadableStream<Uint8Array> | null): AsyncGenerator<string> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (let step = await reader?.read(); step?.done === false; step = await reader?.read()) {
      const all = (rest + decoder.decode(step.value, { stream: true })).split(/\r?\n/);
      rest = all.pop() ?? "";
      if (rest.length > LONGEST_LINE) return;
      yield* all;
    }
  } finally {
    // One that broke rejects, and there is nobody to tell.
    await reader?.cancel().catch(() => {});
  }
}
