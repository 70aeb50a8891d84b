/**
 * A message of a call, and what became of it.
 *
 * @module
 */
import type { Outgoing, Verdict } from "../../src/broker.ts";

/** One message on its way. */
export interface Letter {
  readonly outgoing: Outgoing;
  /** The first one that was given; only that counts. */
  verdict: Verdict | undefined;
  /** Whether something of it may have been written. */
  written?: boolean;
}
