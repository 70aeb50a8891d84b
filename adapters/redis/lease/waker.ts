/**
 * News of queues that changed: the server is asked to tell (`CLIENT TRACKING`, Redis 6), since a consumer that claims by a script cannot block
 * on a list. It tells once of each key that a claim looked at, whoever changes it: Python's producers need not know of it. Where the server
 * has no tracking, or not for this user, the consumer's own pace is all there is.
 *
 * @module
 */
import type { Clock } from "../../../src/lib/port.ts";
import type { Commands } from "../client.ts";
import { type Connection, Link, type LinkOptions } from "../link.ts";
import { Patience } from "../patience.ts";

/** The channel on which a server tells in RESP2. */
const CHANNEL = "__redis__:invalidate";

/** How often the connection that hears is asked whether it is there, ms. */
const WATCH = 15_000;

/** What it stands on. */
export interface WakerParts {
  /** The connection that claims: what it reads is what is told of. */
  readonly commands: { session(): Commands };
  /** The connection that hears. */
  readonly link: Omit<LinkOptions, "onMessage" | "onLost">;
}

/** Called with the changed keys, or with undefined where it may be any. */
export type Wake = (keys: ReadonlySet<string> | undefined) => void;

/** See the module. Shared by all consumers of one broker. */
export class Waker {
  readonly #commands: WakerParts["commands"];
  /** Of the connection that claims, until that is closed. */
  #session: Commands | undefined;
  readonly #clock: Clock;
  readonly #link: Link;
  readonly #wakes: Set<Wake> = new Set();
  /** The connection that hears, and its number on the server. */
  #hearing: { readonly connection: Connection; readonly id: string } | undefined;
  #armed = false;
  #refused = false;
  #arming = false;
  /** Counts the connections that claim. */
  #claiming = 0;
  #watching = false;

  constructor({ commands, link }: WakerParts) {
    this.#commands = commands;
    this.#clock = link.platform.clock;
    this.#link = new Link({
      ...link,
      onMessage: (_channel, text) => this.#tell(new Set(text.split(","))),
      onLost: () => {
        this.#armed = false;
        this.#hearing = undefined;
        void this.#arm();
      },
    });
  }

  /** Whether a change would be told of. */
  get armed(): boolean {
    return this.#armed;
  }

  /** Tells `wake` from now on. */
  add(wake: Wake): void {
    this.#wakes.add(wake);
    void this.#arm();
  }

  /** Tells it no more; with the last one the connection is closed. */
  async remove(wake: Wake): Promise<void> {
    this.#wakes.delete(wake);
    if (this.#wakes.size > 0) return;
    this.#armed = false;
    this.#hearing = undefined;
    await this.#link.close();
  }

  /** The connection that claims is a new one. */
  claiming(): void {
    this.#claiming++;
    this.#session = this.#commands.session();
    this.#armed = false;
    void this.#arm();
  }

  #tell(keys: ReadonlySet<string> | undefined): void {
    for (const wake of this.#wakes) wake(keys);
  }

  async #arm(): Promise<void> {
    if (this.#arming) return;
    this.#arming = true;
    try {
      while (!this.#armed && !this.#refused && this.#claiming > 0 && this.#wakes.size > 0) {
        const claiming = this.#claiming;
        try {
          await this.#track();
        } catch {
          // The connection that claims is gone; the next one is tracked, which may be there already.
          if (claiming === this.#claiming) return;
        }
      }
    } finally {
      this.#arming = false;
    }
  }

  async #track(): Promise<void> {
    const claiming = this.#claiming;
    const hearing = await this.#hear();
    // Meanwhile the connection that claims may have become another one.
    const session = this.#session;
    if (hearing === undefined || session === undefined) return;
    const answers = await session.run(
      [["client", "tracking", "off"], ["client", "tracking", "on", "REDIRECT", hearing.id, "NOLOOP"]],
      { repeatable: true },
    );
    if (answers[1] instanceof Error) return this.#refuse();
    if (claiming !== this.#claiming || this.#hearing !== hearing) return;
    this.#armed = true;
    this.#watch();
    // What came before was not told of.
    this.#tell(undefined);
  }

  /** Opens the connection that hears; undefined where that did not work. The link pauses by itself. */
  async #hear(): Promise<{ readonly connection: Connection; readonly id: string } | undefined> {
    if (this.#hearing !== undefined) return this.#hearing;
    try {
      const connection = await this.#link.up();
      const [id] = await this.#inTime(connection, connection.send([["client", "id"]]));
      if (id instanceof Error) {
        this.#refuse();
        return undefined;
      }
      await this.#inTime(connection, connection.subscribe([CHANNEL]));
      return this.#hearing = { connection, id: String(id) };
    } catch {
      return undefined;
    }
  }

  #refuse(): void {
    this.#refused = true;
    void this.#link.close();
  }

  /** A connection that died without a word shows itself, as long as anybody listens. */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#clock.after(WATCH, () => {
      this.#watching = false;
      const { connection } = this.#hearing ?? {};
      if (connection === undefined) return;
      void this.#inTime(connection, connection.send([["ping"]])).catch(() => {});
      this.#watch();
    }, { keepAlive: false });
  }

  async #inTime<T>(connection: Connection, answer: Promise<T>): Promise<T> {
    const { commandTimeout } = this.#link.options;
    const patience = new Patience(this.#clock, { deadline: this.#clock.now() + commandTimeout });
    try {
      return await patience.for(answer);
    } catch (error) {
      this.#link.drop(connection, error);
      throw error;
    } finally {
      patience.end();
    }
  }
}
