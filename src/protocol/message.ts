/**
 * A message as it stands on the wire, whatever carries it.
 *
 * @module
 */

/** Headers, properties and an undecoded body. Header and property names are AMQP's (`correlation_id`, `delivery_mode`, …). */
export interface Message {
  /** By name, as they came; null where a peer said null. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** Without content type and encoding, which stand beside. */
  readonly properties: Readonly<Record<string, unknown>>;
  /** Such as "application/json"; "" where the sender gave none. */
  readonly contentType: string;
  /** Such as "utf-8"; "" where the sender gave none. */
  readonly contentEncoding: string;
  /** The bytes, compressed where the header `compression` says so. */
  readonly body: Uint8Array;
}
