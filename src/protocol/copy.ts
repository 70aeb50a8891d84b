/**
 * A message sent once more: what belonged to the first one's way does not go with it.
 *
 * @module
 */
import type { Message } from "./message.ts";

/**
 * Headers that a copy goes without: RabbitMQ's own records of deaths and deliveries, by which it takes the next round for an endless one and
 * drops the message; `CC` and `BCC`, by which it would put the copy into other queues too, which have theirs; and our own notes on how the
 * first one waited.
 */
const DROPPED = /^(x-(first-|last-)?death|x-delivery-count$|x-acquired-count$|B?CC$|celeriac-(queue|route)$)/;

/** The headers that go on. */
export function copiedHeaders(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !DROPPED.test(name)));
}

/**
 * The message with these headers besides. Its `expiration` would end the copy early, and a `user_id` is the first sender's to use: of any
 * other user RabbitMQ refuses it (406), and closes the channel.
 */
export function freshCopy(message: Message, headers: Readonly<Record<string, unknown>>): Message {
  const { expiration: _, user_id: __, ...properties } = message.properties;
  return { ...message, headers: { ...copiedHeaders(message.headers), ...headers }, properties };
}
