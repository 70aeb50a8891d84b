/**
 * A message as it stands on the wire, whatever carries it.
 *
 * @module
 */

/** Headers, properties and an undecoded body. Header and property names are AMQP's (`correlation_id`, `delivery_mode`, …). */
export interface Message {
  readonly headers: Readonly<Record<string, unknown>>;
  /** Without content type and encoding, which stand beside. */
  readonly properties: Readonly<Record<string, unknown>>;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly body: Uint8Array;
}
