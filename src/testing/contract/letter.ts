/**
 * Messages of the suites.
 *
 * @module
 */
import type { Delivery, Message } from "../../broker.ts";

/** A message like those of Celery, with `text` as its body. */
export function letter(text: string, properties: Readonly<Record<string, unknown>> = {}): Message {
  return {
    headers: { lang: "py", task: "tests.letter" },
    properties: { delivery_mode: 2, ...properties },
    contentType: "application/json",
    contentEncoding: "utf-8",
    body: new TextEncoder().encode(text),
  };
}

/** The body as text. */
export function textOf(message: Message): string {
  return new TextDecoder().decode(message.body);
}

/** The bodies as texts, in order. */
export function textsOf(deliveries: readonly Delivery[]): string[] {
  return deliveries.map((delivery) => textOf(delivery.message));
}
