/**
 * kombu's envelope, read: the message in it, how it came, and the same again for whom it is given out anew. Pure functions.
 *
 * @module
 */
import type { Delivery, Message } from "../../src/broker.ts";
import { decodeJson } from "../../src/protocol/json.ts";
import { writeJson } from "../../src/protocol/json-writer.ts";
import { encoder } from "../../src/protocol/utf8.ts";

/** What an envelope says. */
export interface Envelope {
  readonly message: Message;
  readonly route: Delivery["route"];
  readonly redelivered: boolean;
}

type Table = Readonly<Record<string, unknown>>;

/** What the transport adds to the properties of a message. */
const OWN: ReadonlySet<string> = new Set(["body_encoding", "delivery_info", "delivery_tag"]);

/**
 * Reads an envelope. What is none (a Python worker dies of it) is a message without headers, whose body is the text: the worker sees that it
 * is no task, and says so. kombu's flag among the headers is left out: they are the sender's.
 */
export function readEnvelope(text: string): Envelope {
  const { headers, properties: given, body, ...rest } = tableOf(parsed(text));
  const properties = tableOf(given);
  const { body_encoding: encoding, delivery_info: info, priority } = properties;
  const { exchange, routing_key: routingKey, redelivered } = tableOf(info);
  const { redelivered: again, ...sent } = tableOf(headers);
  return {
    message: {
      headers: again === true ? sent : tableOf(headers),
      properties: Object.fromEntries(Object.entries(properties).filter(([name]) => !OWN.has(name))),
      contentType: textOf(rest["content-type"]),
      contentEncoding: textOf(rest["content-encoding"]),
      body: typeof body === "string" && isTable(given) ? bytesOf(body, encoding) : encoder.encode(text),
    },
    route: {
      exchange: textOf(exchange),
      routingKey: textOf(routingKey),
      priority: Number.isInteger(priority) ? priority as number : 0,
    },
    redelivered: again === true || redelivered === true,
  };
}

/**
 * The envelope with kombu's two flags of a message that was given out before; "" for what is none, or did not come through as text: it goes
 * back as it is stored.
 */
export function flagged(text: string): string {
  if (text.includes("\ufffd")) return "";
  try {
    const envelope = decodeJson(text, { exact: true }) as Table;
    const { headers, properties } = envelope;
    if (!isTable(headers) || !isTable(properties) || !isTable(properties["delivery_info"])) return "";
    return writeJson({
      ...envelope,
      headers: { ...headers, redelivered: true },
      properties: { ...properties, delivery_info: { ...properties["delivery_info"], redelivered: true } },
    });
  } catch {
    return "";
  }
}

function parsed(text: string): unknown {
  try {
    return decodeJson(text);
  } catch {
    return undefined;
  }
}

/** kombu's body is text in base64, or as it is where nothing is said. */
function bytesOf(body: string, encoding: unknown): Uint8Array {
  if (encoding !== "base64") return encoder.encode(body);
  try {
    const text = atob(body);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
    return bytes;
  } catch {
    return encoder.encode(body);
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype;
}

function tableOf(value: unknown): Table {
  return isTable(value) ? value : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
