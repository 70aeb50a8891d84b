/**
 * Messages as they would come off a wire: nobody shares an object with anybody.
 *
 * @module
 */
import type { Message } from "../../src/broker.ts";
import { freshCopy } from "../../src/protocol/copy.ts";

/** Small bodies are cut from common blocks, as Node does with its buffers: a buffer of its own for each costs more than all the rest. */
const BLOCK = 16_384;
const SMALL = BLOCK / 8;
let block: Uint8Array = new Uint8Array(0);
let used = 0;

function copyBytes(bytes: Uint8Array): Uint8Array {
  const size = bytes.byteLength;
  if (size > SMALL) return new Uint8Array(bytes);
  if (used + size > block.byteLength) {
    block = new Uint8Array(BLOCK);
    used = 0;
  }
  const copy = new Uint8Array(block.buffer, used, size);
  copy.set(bytes);
  used += size;
  return copy;
}

function copyValue(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyValue);
  if (value instanceof Date) return new Date(value);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  }
  return copyTable(value as Readonly<Record<string, unknown>>);
}

/** Copies a table with all that it holds; spreading keeps an own `__proto__` an own one. */
function copyTable(table: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const copy = { ...table };
  for (const key in copy) {
    const value = copy[key];
    if (typeof value !== "object" || value === null) continue;
    const writable = true;
    if (key !== "__proto__") copy[key] = copyValue(value);
    else {Object.defineProperty(copy, key, {
        value: copyValue(value),
        writable,
        enumerable: true,
        configurable: true,
      });}
  }
  return copy;
}

/** A message with nothing in common with `message` that could be changed. */
export function copyMessage(message: Message): Message {
  return {
    headers: copyTable(message.headers),
    properties: copyTable(message.properties),
    contentType: message.contentType,
    contentEncoding: message.contentEncoding,
    body: copyBytes(message.body),
  };
}

/** Tells how a message that waited came to its queue first. */
const ROUTE_HEADER = "celeriac-route";

/** Tells of a copy that its message was given out before: to go back for later is no reason to be taken for new. */
const RETURNED_HEADER = "celeriac-returned";

/** The copy that is sent on to wait: it starts a life of its own, which no expiration ends early. `returned`: it has been in hand. */
export function reborn(
  message: Message,
  route: { readonly exchange: string; readonly routingKey: string },
  returned: boolean,
): Message {
  return freshCopy(message, {
    [ROUTE_HEADER]: [route.exchange, route.routingKey],
    ...(returned ? { [RETURNED_HEADER]: true } : {}),
  });
}

/** The way by which a message that waited came first: exchange and routing key. Undefined for one that did not wait. */
export function firstRoute({ headers }: Message): readonly [string, string] | undefined {
  const route: unknown = headers[ROUTE_HEADER];
  if (!Array.isArray(route)) return undefined;
  const [exchange, routingKey] = route as unknown[];
  return typeof exchange === "string" && typeof routingKey === "string" ? [exchange, routingKey] : undefined;
}

/** Whether it is the copy of a message that went back for later. */
export function isReturned({ headers }: Message): boolean {
  return Object.hasOwn(headers, RETURNED_HEADER);
}

/** Without our mark: the headers are the sender's. */
export function unmarked(message: Message): Message {
  if (!isReturned(message)) return message;
  const { [RETURNED_HEADER]: _, ...headers } = message.headers;
  return { ...message, headers };
}
