/**
 * Channels over a link of their own: one connection for all, SUBSCRIBE and UNSUBSCRIBE gathered a tick at a time.
 *
 * @module
 */
import { fault } from "./fault.ts";
import type { Feed, FeedListener } from "./client.ts";
import { type Connection, Link, type LinkOptions } from "./link.ts";
import { Patience } from "./patience.ts";

/** Channels named in one command. */
const CHUNK = 500;

/** {@link Feed} over a {@link Link}. */
export class LinkFeed implements Feed {
  readonly #link: Link;
  readonly #listener: FeedListener;
  readonly #patterns: boolean;
  readonly #wanted: Set<string> = new Set();
  /** What the present connection was asked for, answered or not. */
  readonly #asked: Set<string> = new Set();
  readonly #heard: Set<string> = new Set();
  /** Channels whose wish may differ from what was asked. */
  readonly #changed: Set<string> = new Set();
  #due = false;
  #working = false;
  /** The one of this tick. */
  #fence: Promise<void> | undefined;

  /** With `patterns` the channels are patterns of channels. */
  constructor(
    options: Omit<LinkOptions, "onMessage" | "onLost">,
    listener: FeedListener,
    { patterns = false }: { readonly patterns?: boolean } = {},
  ) {
    this.#listener = listener;
    this.#patterns = patterns;
    this.#link = new Link({
      ...options,
      onMessage: (channel, text, from) => {
        if (this.#wanted.has(channel)) listener.message(channel, text, from);
      },
      onLost: () => {
        this.#asked.clear();
        this.#heard.clear();
        for (const channel of this.#wanted) this.#touch(channel);
      },
    });
  }

  add(channel: string): void {
    this.#wanted.add(channel);
    this.#touch(channel);
  }

  remove(channel: string): void {
    this.#wanted.delete(channel);
    this.#touch(channel);
  }

  hears(channel: string): boolean {
    // One that is wanted again before its UNSUBSCRIBE went out was heard all the while.
    return this.#heard.has(channel);
  }

  fence(): Promise<void> {
    const connection = this.#link.connection;
    if (connection === undefined) return Promise.resolve();
    if (this.#fence === undefined) {
      // A connection answers in order: behind the answer nothing older can come.
      this.#fence = this.#inTime(connection, connection.send([["ping"]]));
      this.#link.options.platform.clock.soon(() => this.#fence = undefined);
    }
    return this.#fence;
  }

  async close(): Promise<void> {
    this.#wanted.clear();
    this.#changed.clear();
    this.#asked.clear();
    this.#heard.clear();
    await this.#link.close();
  }

  #touch(channel: string): void {
    this.#changed.add(channel);
    if (this.#due) return;
    this.#due = true;
    this.#link.options.platform.clock.soon(() => {
      this.#due = false;
      void this.#work();
    });
  }

  /** Brings the connection's channels in line with those wanted, until they are. */
  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    try {
      while (this.#changed.size > 0) {
        // Nobody to listen for: no reason to open a connection only to say so.
        if (this.#wanted.size === 0 && this.#link.connection === undefined) return this.#changed.clear();
        const connection = this.#link.connection ?? await this.#connect();
        if (connection !== undefined) await this.#inTime(connection, this.#align(connection));
      }
    } finally {
      this.#working = false;
    }
  }

  async #connect(): Promise<Connection | undefined> {
    try {
      return await this.#link.up();
    } catch (error) {
      // The link pauses by itself before the next attempt.
      if (this.#wanted.size > 0) this.#listener.failed(fault(error, this.#link.options.subject));
      return undefined;
    }
  }

  async #align(connection: Connection): Promise<void> {
    const more = [...this.#changed].filter((channel) =>
      this.#wanted.has(channel) && !this.#asked.has(channel)
    );
    const less = [...this.#changed].filter((channel) =>
      !this.#wanted.has(channel) && this.#asked.has(channel)
    );
    this.#changed.clear();
    for (const channel of more) this.#asked.add(channel);
    for (const channel of less) {
      this.#asked.delete(channel);
      this.#heard.delete(channel);
    }
    await Promise.all([
      ...chunks(more).map(async (channels) => {
        await (this.#patterns ? connection.psubscribe(channels) : connection.subscribe(channels));
        if (this.#link.connection !== connection) return;
        const here = channels.filter((channel) => this.#wanted.has(channel));
        for (const channel of here) this.#heard.add(channel);
        if (here.length > 0) this.#listener.heard(here);
      }),
      ...chunks(less).map((channels) =>
        this.#patterns ? connection.punsubscribe(channels) : connection.unsubscribe(channels)
      ),
    ]);
  }

  /** Waits for `answered`; a refusal, a loss or silence is told to the listener and ends the connection. */
  async #inTime(connection: Connection, answered: Promise<unknown>): Promise<void> {
    const { platform: { clock }, commandTimeout, subject } = this.#link.options;
    const patience = new Patience(clock, { deadline: clock.now() + commandTimeout });
    try {
      await patience.for(answered);
    } catch (error) {
      const current = this.#link.connection === connection;
      this.#link.drop(connection, error);
      if (current && this.#wanted.size > 0) this.#listener.failed(fault(error, subject));
    } finally {
      patience.end();
    }
  }
}

function chunks(channels: readonly string[]): string[][] {
  const out: string[][] = [];
  for (let at = 0; at < channels.length; at += CHUNK) out.push(channels.slice(at, at + CHUNK));
  return out;
}
