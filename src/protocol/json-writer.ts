/**
 * Writes JSON as Python's `json.dumps` with kombu's encoder does, byte for byte.
 *
 * @module
 */
import { EncodeError } from "../errors.ts";
import { isRecord } from "./fields.ts";
import { instantText } from "./instant.ts";
import { MAX_DEPTH } from "./limits.ts";
import type { PythonValue } from "./python.ts";
import { utf8Text } from "./utf8.ts";

/** Python 3.11 refuses to read longer integers (`sys.int_info.default_max_str_digits`). */
export const MAX_INT_DIGITS = 4300;

const PLAIN = /^[ !#-[\]-~]*$/;

/**
 * The JSON text of a value, in kombu's dialect: `", "` and `": "`, ASCII only, floats as Python's `repr`, NaN and Infinity bare, integers
 * of any size from bigint, and `{"__type__": …, "__value__": …}` for Date, `PyDate` and its kin, and Uint8Array. A property that is
 * undefined is left out.
 *
 * @throws {EncodeError} `json-undefined` (undefined in an array or alone), `json-unencodable` (functions, Map, Set, Promise …),
 * `json-invalid-date`, `json-reserved` (an object of exactly kombu's two keys), `json-depth` (too deep, or a cycle).
 * Its message says where in the value the part stands, where that is known.
 */
export function encodeJson(value: unknown, maxDepth: number = MAX_DEPTH): string {
  try {
    return writeJson(value, maxDepth);
  } catch (cause) {
    if (!(cause instanceof EncodeError)) {
      throw new EncodeError("json-unencodable", "The value has no JSON form.", { cause });
    }
    const path = cause.code === "json-depth" ? "" : pathTo(value, maxDepth);
    throw path === "" ? cause : new EncodeError(cause.code, `At ${path}: ${cause.message}`);
  }
}

/** Where in the value the part stands that cannot be written: `[0].when`. Looked for only after a failure. */
function pathTo(value: unknown, room: number): string {
  if (typeof value !== "object" || value === null) return "";
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined && !Array.isArray(value)) continue;
    try {
      writeJson(item, room - 1);
    } catch {
      const step = Array.isArray(value)
        ? `[${key}]`
        : /^[\w$]+$/.test(key)
        ? `.${key}`
        : `[${JSON.stringify(key)}]`;
      return step + pathTo(item, room - 1);
    }
  }
  return "";
}

/** As {@link encodeJson}, but an error says only what cannot be written, not where, and what a `toJSON` throws comes through as it is. */
export function writeJson(value: unknown, room: number = MAX_DEPTH): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") return numberText(value);
  if (typeof value === "boolean" || value === null) return String(value);
  if (typeof value === "object") return writeObject(value, room - 1);
  if (typeof value === "bigint") return integerText(value);
  throw value === undefined ? formless("json-undefined", "undefined") : unencodable(typeof value);
}

function writeObject(value: object, room: number): string {
  if (room < 0) throw formless("json-depth", "Such deep nesting");
  let out = "";
  if (Array.isArray(value)) {
    for (const item of value) out += (out && ", ") + writeJson(item, room);
    return `[${out}]`;
  }
  if (!isRecord(value)) {
    const python = (value as Partial<PythonValue>)["~json"]?.(envelope);
    if (python !== undefined) return python;
    if (value instanceof Date) {
      const text = instantText(value.getTime());
      if (text !== undefined) return envelope("datetime", text);
      throw formless("json-invalid-date", "An invalid date");
    }
    if (value instanceof Uint8Array) {
      // kombu's own rule: text where the bytes are UTF-8, base64 where not.
      const text = utf8Text(value);
      return text === undefined ? envelope("base64", toBase64(value)) : envelope("bytes", text);
    }
    const kind = Object.prototype.toString.call(value).slice(8, -1);
    if (/^(String|Number|Boolean)$/.test(kind)) return writeJson(value.valueOf());
    if (/Map|Set|Promise|Error|RegExp|Array|DataView/.test(kind)) throw unencodable(kind);
  }
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (typeof toJSON === "function") return writeJson(toJSON.call(value), room);
  const keys = Object.keys(value);
  if (keys.length === 2 && "__type__" in value && "__value__" in value) {
    throw formless("json-reserved", "__type__ with __value__");
  }
  for (const key of keys) {
    const item = (value as Record<string, unknown>)[key];
    if (item !== undefined) out += `${out && ", "}${quote(key)}: ${writeJson(item, room)}`;
  }
  return `{${out}}`;
}

function envelope(type: string, value: unknown): string {
  return `{"__type__": "${type}", "__value__": ${writeJson(value, 2)}}`;
}

/** The bytes in base64, padded. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}

function unencodable(what: string): EncodeError {
  return formless("json-unencodable", `A ${what}`);
}

function formless(code: string, what: string): EncodeError {
  return new EncodeError(code, `${what} has no JSON form.`);
}

/** The JSON string, with every character outside printable ASCII escaped as Python escapes it. */
export function quote(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * A number as Python writes it. Whole numbers up to 2^53 are integers; beyond, a JavaScript number is what Python calls a float, and goes
 * as `repr(float)` writes one (send a bigint for an integer).
 */
export function numberText(value: number): string {
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : floatText(value);
}

/** `repr(float)`, but for the words NaN and Infinity, which are JSON's. */
export function floatText(value: number): string {
  const size = Math.abs(value);
  // Python writes exponents below 1e-4 and from 1e16 on, with two digits at least; JavaScript below 1e-6 and from 1e21 on.
  if (size < Infinity && (size >= 1e16 || size < 1e-4 && size > 0)) {
    return value.toExponential().replace(/\b(?=\d$)/, "0");
  }
  return Number.isInteger(value) ? `${Object.is(value, -0) ? "-0" : value}.0` : String(value);
}

function integerText(value: bigint): string {
  const text = String(value);
  if (text.length <= MAX_INT_DIGITS) return text;
  throw unencodable("bigint so long");
}
