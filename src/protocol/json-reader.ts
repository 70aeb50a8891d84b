/**
 * Reads the JSON that `JSON.parse` cannot: NaN, integers beyond 2^53, kombu's envelopes, and numbers whose text is to be kept.
 *
 * @module
 */
import { DecodeError } from "../errors.ts";
import { revive } from "./envelope.ts";
import { MAX_INT_DIGITS, numberText } from "./json-writer.ts";
import { PyFloat } from "./types.ts";

const INTEGER = /^-?(?:0|[1-9]\d*)$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** An escape, or a control character, which JSON.parse refuses. */
const NEEDS_PARSE = /[\\\x00-\x1f]/;
const SPACE = /[ \t\n\r]*/y;

/** One text being read. Depth is bounded by the caller (`checkShape`). */
export class JsonReader {
  readonly #text: string;
  #exact: boolean;
  #at = 0;

  constructor(text: string, exact: boolean) {
    this.#text = text;
    this.#exact = exact;
  }

  /** The whole text as one value. */
  whole(): unknown {
    const value = this.#value();
    this.#end();
    return value;
  }

  /** The whole text as an array whose first `plain` elements are read in the reader's own form and the others in exact form. */
  tail(plain: number): unknown {
    this.#space();
    if (this.#text[this.#at] !== "[") return this.whole();
    const outer = this.#exact;
    const value = this.#array((index) => {
      this.#exact = outer || index >= plain;
    });
    this.#end();
    return value;
  }

  #end(): void {
    this.#space();
    if (this.#at < this.#text.length) this.#fail();
  }

  #value(): unknown {
    this.#space();
    const text = this.#text;
    switch (text[this.#at]) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      case "N":
        return this.#word("NaN", NaN);
      case "I":
        return this.#word("Infinity", Infinity);
      case "-":
        return text.startsWith("-Infinity", this.#at) ? this.#word("-Infinity", -Infinity) : this.#number();
      default:
        return this.#number();
    }
  }

  #array(before?: (index: number) => void): unknown[] {
    const items: unknown[] = [];
    this.#at++;
    if (this.#closes("]")) return items;
    for (;;) {
      before?.(items.length);
      items.push(this.#value());
      if (this.#closes("]")) return items;
      this.#expect(",");
    }
  }

  #object(): unknown {
    const fields: Record<string, unknown> = {};
    this.#at++;
    if (this.#closes("}")) return fields;
    for (;;) {
      this.#space();
      const key = this.#string();
      this.#expect(":");
      const value = this.#value();
      if (key === "__proto__") {
        // As JSON.parse does: a field of its own, never the prototype.
        Object.defineProperty(fields, key, { value, enumerable: true, configurable: true, writable: true });
      } else fields[key] = value;
      if (this.#closes("}")) return revive(fields, this.#exact);
      this.#expect(",");
    }
  }

  #string(): string {
    const open = this.#at;
    const close = this.#text[open] === '"' ? closingQuote(this.#text, open) : -1;
    if (close < 0) this.#fail();
    this.#at = close + 1;
    const inner = this.#text.slice(open + 1, close);
    return NEEDS_PARSE.test(inner) ? String(JSON.parse(`"${inner}"`)) : inner;
  }

  #number(): unknown {
    const literal = this.#numberLiteral();
    const value = Number(literal);
    if (INTEGER.test(literal)) {
      if (Number.isSafeInteger(value)) return this.#exact && literal === "-0" ? new PyFloat(literal) : value;
      if (literal.length > MAX_INT_DIGITS) {
        throw new DecodeError("decode-json", `An integer of more than ${MAX_INT_DIGITS} digits.`);
      }
      return BigInt(literal);
    }
    if (!NUMBER.test(literal)) this.#fail();
    return this.#exact && numberText(value) !== literal ? new PyFloat(literal) : value;
  }

  #numberLiteral(): string {
    const start = this.#at;
    let code = this.#text.charCodeAt(start);
    while (
      code >= 0x30 && code <= 0x39 || code === 0x2e || code === 0x2d || code === 0x2b || code === 0x65 ||
      code === 0x45
    ) {
      code = this.#text.charCodeAt(++this.#at);
    }
    return this.#text.slice(start, this.#at);
  }

  #word(word: string, value: unknown): unknown {
    if (!this.#text.startsWith(word, this.#at)) this.#fail();
    this.#at += word.length;
    return value;
  }

  #closes(bracket: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== bracket) return false;
    this.#at++;
    return true;
  }

  #expect(mark: string): void {
    this.#space();
    if (this.#text[this.#at] !== mark) this.#fail();
    this.#at++;
  }

  #space(): void {
    const code = this.#text.charCodeAt(this.#at);
    if (code !== 0x20 && (code < 9 || code > 13)) return;
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #fail(): never {
    throw new DecodeError("decode-json", `Broken JSON at character ${this.#at}.`);
  }
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
