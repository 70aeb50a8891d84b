/**
 * Messages as the library has them and as the contract has them.
 *
 * @module
 */
import type { AMQPMessage } from "@cloudamqp/amqp-client";
import type { Message } from "../../src/broker.ts";

const EMPTY = new Uint8Array(0);

/** The library's message in the contract's words. */
export function readMessage(raw: AMQPMessage): Message {
  const { properties: from } = raw;
  const properties: Record<string, unknown> = {};
  if (from.deliveryMode !== undefined) properties["delivery_mode"] = from.deliveryMode;
  if (from.priority !== undefined) properties["priority"] = from.priority;
  if (from.correlationId !== undefined) properties["correlation_id"] = from.correlationId;
  if (from.replyTo !== undefined) properties["reply_to"] = from.replyTo;
  if (from.expiration !== undefined) properties["expiration"] = from.expiration;
  if (from.messageId !== undefined) properties["message_id"] = from.messageId;
  if (from.timestamp !== undefined) properties["timestamp"] = from.timestamp.getTime() / 1000;
  if (from.type !== undefined) properties["type"] = from.type;
  if (from.userId !== undefined) properties["user_id"] = from.userId;
  if (from.appId !== undefined) properties["app_id"] = from.appId;
  return {
    headers: from.headers ?? {},
    properties,
    contentType: from.contentType ?? "",
    contentEncoding: from.contentEncoding ?? "",
    body: raw.body ?? EMPTY,
  };
}

/** Quorum queues count returns in this header; classic ones keep no count. */
export function attemptsOf(raw: AMQPMessage): number | undefined {
  const count = raw.properties.headers?.["x-delivery-count"];
  return typeof count === "number" ? count : undefined;
}
