/**
 * Outgoing bytes of a connection that lives for one call: what is written in one turn leaves together.
 *
 * @module
 */
import type { Sink } from "./wire.ts";

/** Gathers until `later` calls back. */
export function gather(write: (bytes: Uint8Array) => void, later: (callback: () => void) => void): Sink {
  const parts: Uint8Array[] = [];
  const flush = (): void => {
    const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of parts.splice(0)) {
      bytes.set(part, at);
      at += part.length;
    }
    if (at > 0) write(bytes);
  };
  return {
    flush,
    append(bytes) {
      if (parts.push(bytes.slice()) === 1) later(flush);
    },
  };
}
