/**
 * kombu's JSON dialect, both ways.
 *
 * @module
 */
import { DecodeError } from "../errors.ts";
import { readJson } from "./json-reader.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";

export { encodeJson } from "./json-writer.ts";

/** How JSON is read. */
export interface DecodeOptions {
  /** Keep every value as it was written (microseconds, `1.0`), so that writing it again gives the same text. @default false */
  readonly exact?: boolean;
  /** @default DEFAULT_LIMITS */
  readonly limits?: Limits;
}

/** What plain `JSON.parse` would get wrong: an envelope (also with escaped letters), or an integer of 16 digits and more. */
const SIGNS = /__type__|\\u00[567]|(?:^|[^.\d])\d{16}/;

/**
 * The value of a JSON text. Plain form: datetime is a `Date` (naive is UTC), date, time and decimal the small classes of `types.ts`, uuid a
 * {@link PyUuid}, bytes a `Uint8Array`, integers beyond 2^53 bigint. Exact form: datetime is a {@link PyDatetime}, and a number that
 * JavaScript would write otherwise a {@link PyFloat}. A key `__proto__` becomes a field of its own.
 *
 * @throws {DecodeError} `decode-json`, or `decode-too-deep`, `decode-too-many-keys`, `decode-too-many-values` before anything is decoded.
 */
export function decodeJson(text: string, options: DecodeOptions = {}): unknown {
  checkShape(text, options.limits ?? DEFAULT_LIMITS);
  const exact = options.exact === true;
  if (!exact && !SIGNS.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      // Python's NaN and Infinity, or broken: the reader tells which.
    }
  }
  return guarded(() => readJson(text, exact));
}

/**
 * The array of a task's body: `[args, kwargs]` in plain form (or exact), all that follows in exact form.
 *
 * @throws {DecodeError} as {@link decodeJson}.
 */
export function decodeBody(text: string, options: DecodeOptions = {}): unknown {
  checkShape(text, options.limits ?? DEFAULT_LIMITS);
  return guarded(() => readJson(text, options.exact === true, 2));
}

function guarded(read: () => unknown): unknown {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof DecodeError) throw cause;
    throw new DecodeError("decode-json", "Broken JSON.", { cause });
  }
}

/** Depth and counts, told from the text alone; a text with fewer brackets and characters than the limits is not looked through. */
function checkShape(text: string, { maxDepth, maxKeys, maxValues }: Limits): void {
  const { length } = text;
  if (
    length <= maxValues && length / SHORTEST_FIELD <= maxKeys &&
    (length <= maxDepth || openers(text, maxDepth) <= maxDepth)
  ) return;
  let depth = 0;
  let keys = 0;
  // Each value but the first follows a comma or the bracket that opened its list or object.
  let values = 0;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      // To the quote that ends the string; a backslash takes the next character with it.
      for (let inner = text.charCodeAt(++at); inner !== QUOTE && at < length; inner = text.charCodeAt(++at)) {
        if (inner === BACKSLASH) at++;
      }
    } else if (code === COLON) {
      if (++keys > maxKeys) throw new DecodeError("decode-too-many-keys", `More than ${maxKeys} keys.`);
    } else if (code === COMMA) {
      if (++values > maxValues) throw tooManyValues(maxValues);
    } else if (code === BRACKET || code === BRACE) {
      if (++values > maxValues) throw tooManyValues(maxValues);
      if (++depth > maxDepth) throw new DecodeError("decode-too-deep", `Nested deeper than ${maxDepth}.`);
    } else if (code === BRACKET_END || code === BRACE_END) depth--;
  }
}

function tooManyValues(most: number): DecodeError {
  return new DecodeError("decode-too-many-values", `More than ${most} values.`, {
    hint: "Send fewer at a time, or raise maxValues of the setting contentLimits.",
  });
}

/** How many arrays and objects are opened at most; stops counting beyond `enough`. */
function openers(text: string, enough: number): number {
  let count = 0;
  for (const mark of ["[", "{"]) {
    for (let at = text.indexOf(mark); at >= 0 && count <= enough; at = text.indexOf(mark, at + 1)) count++;
  }
  return count;
}

/** `"":0` */
const SHORTEST_FIELD = 4;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const BRACKET = 0x5b;
const BRACKET_END = 0x5d;
const BRACE = 0x7b;
const BRACE_END = 0x7d;
