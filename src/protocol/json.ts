/**
 * kombu's JSON dialect, both ways.
 *
 * @module
 */
import { DecodeError } from "../errors.ts";
import { closingQuote, JsonReader } from "./json-reader.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";

export { encodeJson } from "./json-writer.ts";

/** How JSON is read. */
export interface DecodeOptions {
  /** Keep every value as it was written (microseconds, `1.0`), so that writing it again gives the same text. @default false */
  readonly exact?: boolean;
  /** @default DEFAULT_LIMITS */
  readonly limits?: Limits;
}

/** What plain `JSON.parse` would get wrong: an envelope (also with escaped letters), or a number of 16 digits and more. */
const SIGNS = /__type__|\\u00[567]|\d{16}/;

/**
 * The value of a JSON text. Plain form: datetime is a `Date` (naive is UTC), date, time and decimal the small classes of `types.ts`, uuid a
 * {@link PyUuid}, bytes a `Uint8Array`, integers beyond 2^53 bigint. Exact form: datetime is a {@link PyDatetime}, and a number that
 * JavaScript would write otherwise a {@link PyFloat}. A key `__proto__` becomes a field of its own.
 *
 * @throws {DecodeError} `decode-json`, or `decode-too-deep`, `decode-too-many-keys` before anything is decoded.
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
  return guarded(() => new JsonReader(text, exact).whole());
}

/**
 * The array of a task's body: `[args, kwargs]` in plain form (or exact), all that follows in exact form.
 *
 * @throws {DecodeError} as {@link decodeJson}.
 */
export function decodeBody(text: string, options: DecodeOptions = {}): unknown {
  checkShape(text, options.limits ?? DEFAULT_LIMITS);
  return guarded(() => new JsonReader(text, options.exact === true).tail(2));
}

function guarded(read: () => unknown): unknown {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof DecodeError) throw cause;
    throw new DecodeError("decode-json", "Broken JSON.", { cause });
  }
}

/** Depth and key count, told from the text alone. A text shorter than the limits cannot break them. */
function checkShape(text: string, limits: Limits): void {
  if (text.length <= limits.maxDepth && text.length <= limits.maxKeys) return;
  let depth = 0;
  let keys = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = closingQuote(text, at);
        // Broken: the decoding after this says so.
        if (at < 0) return;
        break;
      case 0x3a: // :
        if (++keys > limits.maxKeys) {
          throw new DecodeError("decode-too-many-keys", `More than ${limits.maxKeys} keys.`);
        }
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > limits.maxDepth) {
          throw new DecodeError("decode-too-deep", `Nested deeper than ${limits.maxDepth}.`);
        }
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
    }
  }
}
