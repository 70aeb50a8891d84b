/**
 * Commands of the path style: `/set/foo/bar/EX/100`, a body appended, parameters after it. Everything may be bytes.
 *
 * @module
 */
import { type Command, nameOf } from "./command.ts";
import { malformed, tooMany } from "./fault.ts";
import type { Limits } from "./options.ts";

/** The parts of a path, percent signs still in it. `/` has none. */
export function partsOf(pathname: string): readonly string[] {
  return pathname === "/" || pathname === "" ? [] : pathname.replace(/^\//, "").split("/");
}

/**
 * The command that path, body and parameters say: `POST /set/foo?EX=100` with a body is `SET foo <body> EX 100`. An argument that is "."
 * or ".." never comes here by path: every URL parser takes it away, `%2e` as well.
 */
export function readPath(
  parts: readonly string[],
  search: string,
  body: Uint8Array,
  { maxArguments }: Limits,
): Command {
  const [name = "", ...path] = parts;
  const args = [...path.map(percent), ...body.length > 0 ? [body] : [], ...parameters(search)];
  if (args.length >= maxArguments) throw tooMany(maxArguments);
  return { name: nameOf(textOf(percent(name))), args };
}

/** One part of a path as text, for the name of a channel. */
export function textPart(part: string): string {
  return textOf(percent(part));
}

function parameters(search: string): readonly Uint8Array[] {
  const pairs = search.replace(/^\?/, "").split("&").filter((pair) => pair !== "");
  return pairs.filter((pair) => !pair.startsWith("_token=") && pair !== "_token").flatMap((pair) => {
    const [name = "", ...value] = pair.split("=");
    // A flag such as NX has no value.
    return [name, value.join("=")].filter((text, index) => index === 0 || text !== "")
      .map((text) => percent(text.replaceAll("+", " ")));
  });
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** `%FF` is one byte here, whether it is UTF-8 or not. */
function percent(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (!bytes.includes(0x25)) return bytes;
  const out = new Uint8Array(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === 0x25) {
      const digits = String.fromCharCode(bytes[at + 1] ?? 0, bytes[at + 2] ?? 0);
      if (!/^[0-9a-f]{2}$/i.test(digits)) throw malformed("a percent sign in the path is written %25");
      out[length++] = Number.parseInt(digits, 16);
      at += 2;
    } else {
      out[length++] = bytes[at] ?? 0;
    }
  }
  return out.subarray(0, length);
}
