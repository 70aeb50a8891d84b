/**
 * Replies as JSON text. Integers keep all their digits, bytes their values where base64 is asked for.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** A reply as the link gives it: bytes for strings, text for integers, `Error` for an error inside an array. */
export type Reply = null | Uint8Array | string | Error | readonly Reply[];

/** How strings are written. */
export type Encoding = "base64" | "text";

/** `{"result":…}` or `{"error":"…"}`. */
export function answer(reply: Reply, encoding: Encoding): string {
  return reply instanceof Error
    ? JSON.stringify({ error: reply.message })
    : `{"result":${written(reply, encoding, true)}}`;
}

/** The answers of a pipeline or transaction. */
export function answers(replies: readonly Reply[], encoding: Encoding): string {
  return `[${replies.map((reply) => answer(reply, encoding)).join(",")}]`;
}

function written(reply: Reply, encoding: Encoding, top: boolean): string {
  if (reply === null) return "null";
  if (typeof reply === "string") return reply;
  if (reply instanceof Error) return quoted(Buffer.from(reply.message), encoding);
  if (reply instanceof Uint8Array) {
    // "OK" stays as it is, but alone only: inside of an array a client would take it for base64.
    return top && isOk(reply) ? '"OK"' : quoted(reply, encoding);
  }
  return `[${reply.map((part) => written(part, encoding, false)).join(",")}]`;
}

function quoted(bytes: Uint8Array, encoding: Encoding): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return encoding === "base64" ? `"${buffer.toString("base64")}"` : JSON.stringify(buffer.toString("utf8"));
}

function isOk(bytes: Uint8Array): boolean {
  return bytes.length === 2 && bytes[0] === 0x4f && bytes[1] === 0x4b;
}
