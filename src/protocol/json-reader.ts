/**
 * Reads the JSON that `JSON.parse` cannot: NaN, integers beyond 2^53, kombu's envelopes, and numbers whose text is to be kept.
 *
 * @module
 */
import { DecodeError } from "../errors.ts";
import { revive } from "./envelope.ts";
import { MAX_INT_DIGITS, numberText } from "./json-writer.ts";
import { PyFloat } from "./types.ts";

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** An escape, or a control character, which JSON.parse refuses. */
const NEEDS_PARSE = /[\\\x00-\x1f]/;
const SPACE = /[ \t\n\r]*/y;

/** By their first letter. */
const WORDS: Readonly<Record<string, readonly [word: string, value: unknown]>> = {
  t: ["true", true],
  f: ["false", false],
  n: ["null", null],
  N: ["NaN", NaN],
  I: ["Infinity", Infinity],
};

const MINUS = ["-Infinity", -Infinity] as const;

/**
 * The value of the text. Where it is an array, its elements from index `plain` on are read in exact form in any case. Depth is bounded by
 * the caller (`checkShape`).
 *
 * @throws {DecodeError} `decode-json`, and whatever a deep text or a broken string throws.
 */
export function readJson(text: string, exact: boolean, plain?: number): unknown {
  let at = 0;

  const fail = (): never => {
    throw new DecodeError("decode-json", `Broken JSON at character ${at}.`);
  };

  const space = (): void => {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && (code < 9 || code > 13)) return;
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
  };

  /** Whether the mark stands next; if so it is behind us. */
  const takes = (mark: string): boolean => {
    space();
    const found = text[at] === mark;
    if (found) at++;
    return found;
  };

  const value = (): unknown => {
    space();
    const first = text[at] ?? "";
    if (first === '"') return string();
    if (takes("{")) return object();
    if (takes("[")) return array();
    const [word, meant] = WORDS[first] ?? MINUS;
    if (text.startsWith(word, at)) {
      at += word.length;
      return meant;
    }
    return number();
  };

  const array = (before?: (index: number) => void): unknown[] => {
    const items: unknown[] = [];
    if (takes("]")) return items;
    do {
      before?.(items.length);
      items.push(value());
    } while (takes(","));
    return takes("]") ? items : fail();
  };

  const object = (): unknown => {
    const fields: Record<string, unknown> = {};
    if (takes("}")) return fields;
    do {
      space();
      const key = string();
      const item = takes(":") ? value() : fail();
      if (key === "__proto__") {
        // As JSON.parse does: a field of its own, never the prototype.
        Object.defineProperty(fields, key, {
          value: item,
          enumerable: true,
          configurable: true,
          writable: true,
        });
      } else fields[key] = item;
    } while (takes(","));
    return takes("}") ? revive(fields, exact) : fail();
  };

  const string = (): string => {
    const close = text[at] === '"' ? closingQuote(text, at) : -1;
    if (close < 0) fail();
    const inner = text.slice(at + 1, close);
    at = close + 1;
    return NEEDS_PARSE.test(inner) ? String(JSON.parse(`"${inner}"`)) : inner;
  };

  const number = (): unknown => {
    NUMBER.lastIndex = at;
    if (!NUMBER.test(text)) fail();
    const literal = text.slice(at, NUMBER.lastIndex);
    at = NUMBER.lastIndex;
    const found = Number(literal);
    if (!Number.isSafeInteger(found) && !/[.e]/i.test(literal)) {
      if (literal.length <= MAX_INT_DIGITS) return BigInt(literal);
      throw new DecodeError("decode-json", `An integer of more than ${MAX_INT_DIGITS} digits.`);
    }
    return exact && numberText(found) !== literal ? new PyFloat(literal) : found;
  };

  const found = plain !== undefined && takes("[") ? array((index) => exact ||= index >= plain) : value();
  space();
  return at < text.length ? fail() : found;
}

/** The index of the quote that ends the string opened at `open`; -1 where none does. */
function closingQuote(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let before = at;
    while (text.charCodeAt(before - 1) === 0x5c) before--;
    if ((at - before) % 2 === 0) return at;
  }
  return -1;
}
