/**
 * Outgoing bytes of a connection that lives for one call: what is written in one turn leaves together.
 *
 * @module
 */
import { joined } from "./frames.ts";
import type { Sink } from "./wire.ts";

/** Gathers until `later` calls back. */
export function gather(write: (bytes: Uint8Array) => void, later: (callback: () => void) => void): Sink {
  const parts: Uint8Array[] = [];
  const flush = (): void => {
    if (parts.length > 0) write(joined(parts.splice(0)));
  };
  return {
    flush,
    append(bytes) {
      if (parts.push(bytes.slice()) === 1) later(flush);
    },
  };
}
