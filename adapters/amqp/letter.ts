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
  /** Its properties as bytes, once something of it was written. */
  written: Uint8Array | undefined;
}
