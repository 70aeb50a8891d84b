/**
 * One connection that comes back: opened on demand, with a deadline, and after a failure not before a growing, jittered pause.
 *
 * @module
 */
import type { CeleriacError } from "../../src/errors.ts";
import type { Platform } from "../../src/lib/port.ts";
import type { Command } from "./client.ts";
import { closed, isClosed, late, type Subject } from "./fault.ts";
import { Patience } from "./patience.ts";
import { socketFault } from "./socket-fault.ts";

/** An open connection. */
export interface Connection {
  /** Sends all at once; an `Error` stands where the server refused. Rejects when the connection is lost before all answers came. */
  send(commands: readonly Command[]): Promise<readonly unknown[]>;
  subscribe(channels: readonly string[]): Promise<void>;
  unsubscribe(channels: readonly string[]): Promise<void>;
  psubscribe(patterns: readonly string[]): Promise<void>;
  punsubscribe(patterns: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** What a connection tells after it was opened. */
export interface ConnectionEvents {
  lost(error: unknown): void;
  /** `from` is the channel where `channel` is a pattern. */
  message(channel: string, text: string, from?: string): void;
}

/** Opens a connection that is ready for commands. Gives up, and leaves nothing behind, when `signal` is aborted. */
export type Open = (events: ConnectionEvents, signal: AbortSignal) => Promise<Connection>;

/** What a link is made of. Durations are ms. */
export interface LinkOptions {
  readonly open: Open;
  readonly subject: Subject;
  readonly platform: Platform;
  readonly connectTimeout: number;
  readonly commandTimeout: number;
  /** The longest pause after a failure. @default 5000 */
  readonly longestPause?: number;
  readonly onMessage?: (channel: string, text: string, from?: string) => void;
  readonly onUp?: () => void;
  /** The connection is gone, and not because we closed it; the next attempt is not made before `pause`, ms. */
  readonly onLost?: (error: CeleriacError, pause: number) => void;
  /** An attempt to open one failed. */
  readonly onFailed?: (error: CeleriacError, pause: number) => void;
}

/** The first pause after a failure, and the longest where nobody says, ms. */
const BACKOFF = { first: 50, longest: 5000 };

/** A connection that lived shorter than this, in ms, and did nothing of use counts as a failed attempt. */
const SHORT_LIFE = 1000;

/** A link; see the module. */
export class Link {
  readonly options: LinkOptions;
  #connection: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  #abandon: AbortController | undefined;
  #failures = 0;
  #notBefore = 0;
  #upSince = 0;
  #useful = false;
  #wasUp = false;

  constructor(options: LinkOptions) {
    this.options = options;
  }

  /** Undefined while the link is down. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Whether the server was there once: what fails then is more likely a passing trouble than a wrong URL. */
  get wasUp(): boolean {
    return this.#wasUp;
  }

  /** The connection, opened if need be. All who ask while it opens share one attempt and its error. */
  up(): Promise<Connection> {
    if (this.#connection !== undefined) return Promise.resolve(this.#connection);
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** The connection did what it is for: its loss is not a failed attempt, however soon it comes. */
  proven(): void {
    this.#useful = true;
  }

  /** Gives up a connection that is not to be trusted any more. */
  drop(connection: Connection, why: unknown): void {
    if (this.#connection === connection) this.#lost(why);
    // A connection that is given up may not answer the farewell either.
    void connection.close().catch(() => {});
  }

  /** Closes the connection, or calls off the attempt. Idempotent; `up` opens a new one. */
  async close(): Promise<void> {
    this.#abandon?.abort(closed(this.options.subject));
    const opening = this.#opening;
    const connection = this.#connection;
    this.#connection = undefined;
    this.#failures = 0;
    this.#notBefore = 0;
    await connection?.close();
    await opening?.catch(() => {});
  }

  async #open(): Promise<Connection> {
    const { open, platform: { clock }, connectTimeout, onMessage, subject } = this.options;
    const abandon = new AbortController();
    this.#abandon = abandon;
    const begun = clock.now();
    const patience = new Patience(clock, { signal: abandon.signal });
    try {
      await patience.pause(this.#notBefore - begun);
      const timer = clock.after(
        connectTimeout,
        () => abandon.abort(late("connecting", connectTimeout, subject)),
      );
      let connection: Connection | undefined;
      try {
        connection = await open({
          message: (channel, text, from) => onMessage?.(channel, text, from),
          lost: (error) => {
            if (connection !== undefined && this.#connection === connection) this.#lost(error);
          },
        }, abandon.signal);
      } finally {
        timer.cancel();
      }
      if (abandon.signal.aborted) {
        await connection.close();
        throw abandon.signal.reason;
      }
      this.#connection = connection;
      this.#wasUp = true;
      this.#upSince = clock.now();
      this.#useful = false;
      this.options.onUp?.();
      return connection;
    } catch (error) {
      const met = socketFault(error, subject);
      if (!isClosed(error)) {
        this.#failed();
        this.options.onFailed?.(met, this.#pause());
      }
      throw met;
    } finally {
      patience.end();
      this.#opening = undefined;
      this.#abandon = undefined;
    }
  }

  #lost(why: unknown): void {
    this.#connection = undefined;
    // A server that takes connections only to close them is not to be stormed.
    if (!this.#useful && this.options.platform.clock.now() - this.#upSince < SHORT_LIFE) this.#failed();
    else this.#failures = 0;
    this.options.onLost?.(socketFault(why, this.options.subject), this.#pause());
  }

  /** How long the next attempt waits, ms. */
  #pause(): number {
    return Math.max(0, Math.round(this.#notBefore - this.options.platform.clock.now()));
  }

  #failed(): void {
    const { longestPause = BACKOFF.longest, platform: { clock, random } } = this.options;
    this.#failures += 1;
    const pause = Math.min(longestPause, BACKOFF.first * 2 ** Math.min(this.#failures - 1, 10));
    this.#notBefore = clock.now() + pause * (0.5 + random.next() / 2);
  }
}
