/**
 * Writes JSON as Python's `json.dumps` with kombu's encoder does, byte for byte.
 *
 * @module
 */
import { EncodeError } from "../errors.ts";
import { formatInstant, isInstant } from "./instant.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { PyDate, PyDatetime, PyDecimal, PyFloat, PyTime, PyUuid } from "./types.ts";

/** Python 3.11 refuses to read longer integers (`sys.int_info.default_max_str_digits`). */
export const MAX_INT_DIGITS = 4300;

const PLAIN = /^[ !#-[\]-~]*$/;

/**
 * The JSON text of a value, in kombu's dialect: `", "` and `": "`, ASCII only, floats as Python's `repr`, NaN and Infinity bare, integers
 * of any size from bigint, and `{"__type__": …, "__value__": …}` for Date, {@link PyDate} and its kin, and Uint8Array. A property that
 * is undefined is left out.
 *
 * @throws {EncodeError} `json-undefined` (undefined in an array or alone), `json-unencodable` (functions, Map, Set, Promise …),
 * `json-invalid-date`, `json-reserved` (an object of exactly kombu's two keys), `json-depth` (too deep, or a cycle).
 */
export function encodeJson(value: unknown, maxDepth: number = DEFAULT_LIMITS.maxDepth): string {
  try {
    return write(value, maxDepth);
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
      write(item, room - 1);
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

function write(value: unknown, room: number): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "number":
      return numberText(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      if (value === null) return "null";
      if (room <= 0) {
        throw new EncodeError("json-depth", "The value is nested too deeply, or contains itself.");
      }
      return Array.isArray(value) ? writeArray(value, room - 1) : writeObject(value, room - 1);
    case "bigint":
      return integerText(value);
    case "undefined":
      throw new EncodeError("json-undefined", "undefined has no JSON form.", { hint: "Use null." });
    default:
      throw unencodable(`A ${typeof value}`);
  }
}

function writeArray(items: readonly unknown[], room: number): string {
  let out = "[";
  for (let i = 0; i < items.length; i++) {
    if (i > 0) out += ", ";
    out += write(items[i], room);
  }
  return out + "]";
}

function writeObject(value: object, room: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const text = writeKnown(value);
    if (text !== undefined) return text;
    if (isOpaque(value)) throw unencodable(`A ${value.constructor.name}`);
  }
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (typeof toJSON === "function") return write(toJSON.call(value), room);
  if (value instanceof String || value instanceof Number || value instanceof Boolean) {
    return write(value.valueOf(), room);
  }
  return writeFields(value, room);
}

function writeFields(value: object, room: number): string {
  const keys = Object.keys(value);
  if (keys.length === 2 && keys.includes("__type__") && keys.includes("__value__")) {
    throw new EncodeError(
      "json-reserved",
      "An object with exactly the keys __type__ and __value__ is kombu's own envelope.",
      {
        hint: "Use Date, PyDate, PyTime, PyDecimal, PyUuid or Uint8Array.",
      },
    );
  }
  let out = "";
  for (const key of keys) {
    const item = (value as Record<string, unknown>)[key];
    if (item === undefined) continue;
    out += `${out === "" ? "{" : ", "}${quote(key)}: ${write(item, room)}`;
  }
  return out === "" ? "{}" : out + "}";
}

function writeKnown(value: object): string | undefined {
  if (value instanceof Date) return envelope("datetime", quote(dateText(value)));
  if (value instanceof Uint8Array) return writeBytes(value);
  if (value instanceof PyFloat) return value.text;
  if (value instanceof PyDatetime) return envelope("datetime", quote(value.text));
  if (value instanceof PyDate) return envelope("date", quote(value.text));
  if (value instanceof PyTime) return envelope("time", quote(value.text));
  if (value instanceof PyDecimal) return envelope("decimal", quote(value.text));
  if (value instanceof PyUuid) return envelope("uuid", `{"hex": "${value.hex}"}`);
  return undefined;
}

function envelope(type: string, value: string): string {
  return `{"__type__": "${type}", "__value__": ${value}}`;
}

function dateText(date: Date): string {
  const ms = date.getTime();
  if (isInstant(ms)) return formatInstant(ms);
  throw new EncodeError(
    "json-invalid-date",
    "The date is invalid, or outside the years 1 to 9999 that Python knows.",
  );
}

function writeBytes(bytes: Uint8Array): string {
  try {
    return envelope("bytes", quote(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)));
  } catch {
    // kombu's own rule: text where the bytes are UTF-8, base64 where not.
    return envelope("base64", `"${toBase64(bytes)}"`);
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}

function isOpaque(value: object): boolean {
  return value instanceof Map || value instanceof Set || value instanceof Promise || value instanceof Error ||
    value instanceof RegExp || value instanceof WeakMap || value instanceof WeakSet ||
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value);
}

function unencodable(what: string): EncodeError {
  return new EncodeError("json-unencodable", `${what} has no JSON form.`, {
    hint: "Send plain objects, arrays, strings, numbers, booleans, null, bigint, Date or Uint8Array.",
  });
}

/** The JSON string, with every character outside printable ASCII escaped as Python escapes it. */
export function quote(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, escape);
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/**
 * A number as Python writes it. Whole numbers up to 2^53 are integers; beyond, a JavaScript number is what Python calls a float, and goes
 * as `repr(float)` writes one (send a bigint for an integer).
 */
export function numberText(value: number): string {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return String(value);
  return floatText(value);
}

/** `repr(float)`, but for the words NaN and Infinity, which are JSON's. */
export function floatText(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  // Python writes exponents below 1e-4 and from 1e16 on, with two digits at least; JavaScript below 1e-6 and from 1e21 on.
  if (size >= 1e16 || size < 1e-4 && size > 0) {
    return Number.isFinite(value) ? exponential(value) : String(value);
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function exponential(value: number): string {
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}

function integerText(value: bigint): string {
  const text = String(value);
  if (text.length <= MAX_INT_DIGITS) return text;
  throw new EncodeError(
    "json-unencodable",
    `An integer of more than ${MAX_INT_DIGITS} digits: Python refuses to read it.`,
  );
}
