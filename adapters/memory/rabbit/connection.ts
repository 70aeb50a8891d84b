/**
 * A connection: its channels, and whether it is read at all.
 *
 * @module
 */
import type { Channel } from "./channel.ts";
import type { Command } from "./command.ts";

/** A connection. */
export class Connection {
  readonly id: number;
  readonly channels: Map<number, Channel> = new Map<number, Channel>();
  /** Channels that the server closed and the client has not answered for: what comes on them is not heard. */
  readonly closing: Set<number> = new Set<number>();
  /** What came since an alarm stopped the reading; undefined while it is read. */
  frozen: Command[] | undefined;

  constructor(id: number) {
    this.id = id;
  }
}
