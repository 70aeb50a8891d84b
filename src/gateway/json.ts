/**
 * JSON as commands need it: arrays of strings, with numbers as they were written, and no deeper than that.
 *
 * @module
 */
import { malformed, tooMany } from "./fault.ts";

/**
 * Reads a JSON array of at most `depth` levels. Numbers come as the text that they were written with: 9223372036854775807 and 1.0 would
 * not outlive a double. Objects, deeper arrays, and more than `most` values or arrays are refused before they are built, which can take seconds
 * and a gigabyte.
 *
 * @throws {Refusal} 400
 */
export function parseRows(body: Uint8Array, depth: number, most: number): unknown {
  // A byte order mark is no JSON, and bytes that are no UTF-8 become U+FFFD.
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(body);
  const prepared = prepare(text, depth, most);
  try {
    return JSON.parse(prepared);
  } catch {
    throw malformed("the body is no JSON");
  }
}

function prepare(text: string, deepest: number, most: number): string {
  const parts: string[] = [];
  let from = 0;
  let depth = 0;
  let arrays = 0;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"') {
      values++;
      at = endOfString(text, at);
    } else if (char === "[") {
      arrays++;
      if (++depth > deepest) throw malformed("arguments are strings, numbers and booleans");
    } else if (char === "]") {
      depth--;
    } else if (char === "{") {
      throw malformed("arguments are strings, numbers and booleans");
    } else if (char === "t" || char === "f" || char === "n") {
      // true, false, null: each has one of these, once.
      values++;
    } else if (char === "-" || isDigit(char)) {
      values++;
      const end = endOfNumber(text, at);
      const number = text.slice(at, end);
      parts.push(text.slice(from, at), NUMBER.test(number) ? `"${number}"` : number);
      from = end;
      at = end - 1;
    }
    if (values > most || arrays > most) throw tooMany(most);
  }
  return parts.length === 0 ? text : parts.join("") + text.slice(from);
}

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9";
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && "0123456789+-.eE".includes(text.charAt(at))) at++;
  return at;
}

/** The place of the quote that ends it, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charAt(at - 1 - slashes) === "\\") slashes++;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}
