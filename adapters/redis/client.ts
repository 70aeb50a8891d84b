/**
 * What this room asks of Redis, whoever carries it: a TCP link (link.ts) or an HTTP client. Nothing here knows a library.
 *
 * @module
 */
import type { Call } from "../../src/broker.ts";

/** One argument of a command. */
export type Argument = string | number;

/** A command: its name, then its arguments. */
export type Command = readonly [name: string, ...args: readonly Argument[]];

/** How often commands may have been carried out; whoever runs them counts. */
export interface Trail {
  /** Up as they are handed on, down again where they certainly did not arrive. */
  attempts: number;
}

/** How commands are run. */
export interface CommandOptions extends Call {
  /**
   * Whether the commands may be sent again when the link broke before their answer came: for reads, and for writes that leave the same
   * behind when done twice.
   */
  readonly repeatable: boolean;
  /**
   * Whether a server that never was there is waited for as well: for what would be lost otherwise.
   *
   * @default false: it is told at once
   */
  readonly patient?: boolean;
  /** Where the attempts are counted, for those who need to know. */
  readonly trail?: Trail;
}

/** Runs commands. */
export interface Commands {
  /**
   * Sends all in one go, in order, and answers in that order; an `Error` stands where the server refused that one. Settles by the
   * deadline (its own, where the call has none) and throws a `ConnectionError` when the link fails.
   */
  run(commands: readonly Command[], options: CommandOptions): Promise<readonly unknown[]>;
  /** Lets go of the link. Idempotent; the next `run` opens it again. */
  close(): Promise<void>;
}

/** What a {@link Feed} tells of its channels. */
export interface FeedListener {
  /** A message on this channel; where patterns are listened to, on the pattern, and then the channel follows. */
  message(channel: string, text: string, from?: string): void;
  /** From now on messages on these channels arrive (again). What was published before is to be read. */
  heard(channels: readonly string[]): void;
  /** The channels cannot be listened to at present; it goes on trying. */
  failed(error: Error): void;
}

/** Listens to channels over one connection; survives its loss by itself. */
export interface Feed {
  /** Listens to one more channel; `heard` tells when. */
  add(channel: string): void;
  /** Stops listening to it. */
  remove(channel: string): void;
  /** Whether messages on the channel arrive now. */
  hears(channel: string): boolean;
  /**
   * Resolves when every message that was published before now has been told, or cannot come any more. It goes to the server and back, so
   * that a link that died silently shows itself.
   */
  fence(): Promise<void>;
  /** Lets go of the link and all channels. Idempotent. */
  close(): Promise<void>;
}
