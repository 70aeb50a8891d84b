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
  /** How deep arrays and objects may be nested. */
  readonly maxDepth: number;
  /** How many object keys the whole text may hold. */
  readonly maxKeys: number;
}

/**
 * 128 MiB is the largest message that RabbitMQ 3 takes by default. Python's own reader gives up at a depth of about 1,000.
 */
export const DEFAULT_LIMITS: Limits = {
  maxBody: 128 * 2 ** 20,
  maxDecompressed: 128 * 2 ** 20,
  maxDepth: 500,
  maxKeys: 1_000_000,
};
