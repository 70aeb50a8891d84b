/**
 * A request's body, read no further than its bound.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Refusal } from "./fault.ts";

/** All bytes of the body; ends the request as soon as they are more than `most`, whatever its headers say. */
export async function readBody(request: Request, most: number): Promise<Uint8Array> {
  const tooLong = (actual: string): Refusal =>
    new Refusal(400, `ERR max request size exceeded. Limit: ${most} bytes, Actual: ${actual} bytes`);
  const told = Number(request.headers.get("content-length") ?? 0);
  if (told > most) throw tooLong(String(told));
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      length += part.value.length;
      if (length > most) throw tooLong(`more than ${most}`);
      chunks.push(part.value);
    }
  } catch (error) {
    // The rest is not wanted; that it cannot be called off changes nothing.
    reader.cancel().catch(() => {});
    throw error instanceof Refusal ? error : new Refusal(400, "ERR the request's body broke off");
  }
  return chunks.length === 1 ? chunks[0] ?? new Uint8Array() : Buffer.concat(chunks, length);
}
