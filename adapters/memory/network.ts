/**
 * How a client of a memory world reaches its server: the seam for a simulator, which decides when what arrives.
 *
 * @module
 */
import type { Command } from "./rabbit/command.ts";
import type { RabbitEvent } from "./rabbit/event.ts";
import type { FakeUnsupported } from "./rabbit/fault.ts";

/** A command of a client. */
export type ClientWord = Command & { readonly connection: number };

/** Stands in the line of answers where a command was that the fake does not know: it did nothing. */
export interface Unsupported {
  readonly is: "unsupported";
  readonly connection: number;
  readonly command: Command;
  readonly error: FakeUnsupported;
}

/** The connection broke: nothing comes after it. */
export interface Lost {
  readonly is: "connection.lost";
  readonly connection: number;
}

/** One word to a client. */
export type WorldEvent = RabbitEvent | Unsupported | Lost;

/** One direction of one link: what is sent arrives in the order in which it was sent. */
export interface Line<W> {
  /** Sends; on a line that is shut it is not heard. */
  send(word: W): void;
  /** What is on its way is lost. */
  clear(): void;
}

/** The two directions of one link. */
export interface Lines {
  /** From the client to the server. */
  readonly up: Line<ClientWord>;
  /** From the server to the client. */
  readonly down: Line<WorldEvent>;
}

/** What a network is told of a new link, and may do with it. */
export interface LinkEnds {
  /** A word of the client has come to the server. */
  up(word: ClientWord): void;
  /** A word of the server has come to the client. */
  down(word: WorldEvent): void;
  /**
   * Breaks the link: what is on its way is lost, the server drops the connection, the client is told. With `flushed`, what the server had
   * said still arrives before that.
   */
  cut(options?: { readonly flushed?: boolean }): void;
  /** The client's process has gone: the server learns it behind what was sent before, at the client nobody hears anything. */
  vanish(): void;
}

/** Carries the words of one client. */
export interface Network {
  /** The last instant (ms since the epoch) at which something could pass; undefined when something can now. */
  readonly stalledAt: number | undefined;
  /** Opens the two lines of a new link. */
  open(ends: LinkEnds): Lines;
  /** The link is over at the client's end. What was sent up is still to arrive. */
  shut(lines: Lines): void;
}

/** Who listens at the client's end of a connection. */
export interface LinkListener {
  onEvent(event: WorldEvent): void;
  /** The connection is gone; nothing comes any more. */
  onLost(): void;
}

/** The client's end of a connection. */
export interface Link {
  /** The number that commands on it carry. */
  readonly id: number;
  /** Sends; on a lost link it is not heard. */
  send(command: ClientWord): void;
}

/** The server's view of one link. */
export interface Peer {
  readonly listener: LinkListener;
  /** How its words travel; undefined for the world's own microtasks. */
  lines: Lines | undefined;
  readonly network: Network | undefined;
}
