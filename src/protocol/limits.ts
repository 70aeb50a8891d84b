/**
 * What a message may cost to read. Checked before anything is decoded.
 *
 * @module
 */

/** Bounds on one message. */
export interface Limits {
  /** Bytes on the wire. */
  readonly maxBody: number;
  /** Bytes after decompression. */
  readonly maxDecompressed: number;
  /** How many times its size on the wire a body of more than 8 MiB may be after decompression. */
  readonly maxRatio: number;
  /** How deep arrays and objects may be nested. */
  readonly maxDepth: number;
  /** How many object keys the whole text may hold. */
  readonly maxKeys: number;
  /** How many values the whole text may hold, counted by its commas and opening brackets. */
  readonly maxValues: number;
}

/** Python's own reader gives up at a depth of about 1,000. */
export const MAX_DEPTH = 500;

/**
 * 128 MiB is the largest message that RabbitMQ 3 takes by default. zlib packs at most 1:1032, and a list of equal records comes near
 * that: only what is large as well is taken for a bomb. A value costs up to 70 bytes of memory, however few it takes on the wire.
 */
export const DEFAULT_LIMITS: Limits = {
  maxBody: 128 * 2 ** 20,
  maxDecompressed: 16 * 2 ** 20,
  maxRatio: 100,
  maxDepth: MAX_DEPTH,
  maxKeys: 1_000_000,
  maxValues: 1_000_000,
};

/** How large a body of so many bytes on the wire may be after decompression. */
export function mostDecompressed(size: number, { maxDecompressed, maxRatio }: Limits): number {
  return Math.min(maxDecompressed, Math.max(UNSUSPECTED, size * maxRatio));
}

const UNSUSPECTED = 8 * 2 ** 20;
