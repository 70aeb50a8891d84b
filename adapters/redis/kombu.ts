/**
 * kombu's wire in Redis: the envelope of a message, the names of keys, the members of binding sets. Pure functions.
 *
 * @module
 */
import type { BindingEntity, Destination, ExchangeType, Message } from "../../src/broker.ts";
import { toBase64, writeJson } from "../../src/protocol/json-writer.ts";

/** Stands between the parts of a key, and of a binding. */
export const SEPARATOR = "\x06\x16";

/** The message as kombu writes it, byte for byte: one JSON text, the body in base64. */
export function envelope(
  { headers, properties, body, contentType, contentEncoding }: Message,
  to: Destination,
  deliveryTag: string,
): string {
  const { priority, ...rest } = properties;
  return writeJson({
    body: toBase64(body),
    "content-encoding": contentEncoding || null,
    "content-type": contentType || null,
    headers,
    properties: {
      // They stand first, in this order.
      correlation_id: undefined,
      reply_to: undefined,
      delivery_mode: undefined,
      ...rest,
      delivery_info: { exchange: to.exchange, routing_key: to.routingKey },
      priority: priority ?? 0,
      body_encoding: "base64",
      delivery_tag: deliveryTag,
    },
  });
}

/** kombu has a list for the priorities 0 to 2, 3 to 5, 6 to 8 and 9, and takes from the first one first: 0 is the most urgent. */
export const STEPS: readonly string[] = ["", SEPARATOR + 3, SEPARATOR + 6, SEPARATOR + 9];

/** What stands behind a queue's name in the key of the list for a message of this priority. */
export function stepOf(priority: unknown): string {
  const step = 3 * Math.floor(Math.min(9, Number(priority) || 0) / 3);
  return step > 0 ? SEPARATOR + step : "";
}

/** Which of the four lists that is. */
export function stepIndex(priority: unknown): number {
  return STEPS.indexOf(stepOf(priority));
}

/** The set of an exchange's bindings. */
export function bindingKey(exchange: string): string {
  return `_kombu.binding.${exchange}`;
}

/** A binding as its set holds it: routing key, the regular expression of a topic, queue. */
export function bindingMember({ queue, routingKey }: BindingEntity, type: ExchangeType | undefined): string {
  return [routingKey, type === "topic" ? pattern(routingKey) : "", queue].join(SEPARATOR);
}

/** The channel of a fanout exchange in this database. */
export function fanoutChannel({ exchange, routingKey }: Destination, db: number): string {
  return `/${db}.${exchange}${routingKey && `/${routingKey}`}`;
}

/** kombu's `TopicExchange.key_to_pattern`, which is not AMQP's: "*" takes dots too, and "a.#" wants the dot. */
function pattern(routingKey: string): string {
  const words = routingKey.replace(/[^\p{L}\p{N}.#*]/gu, "\\$&").split(".");
  return `^${words.map((word) => word === "*" ? ".*?[^\\.]" : word === "#" ? ".*?" : word).join("\\.")}$`;
}
