/**
 * Foreign text made fit for a terminal and a log.
 *
 * @module
 */

/** Characters that could forge a log line or steer a terminal: controls, invisible and bidirectional marks, lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** The same without the two that give a text its shape. */
const SHAPELESS = /[^\P{Cc}\n\t]|[\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** Those that Python's `repr` has a letter for. */
const LETTERS: ReadonlyMap<string, string> = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

/** The text on one line: each control, invisible or bidirectional character escaped as Python's `repr` does. */
export function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, escape);
}

/** The text with its lines and tabs, the other characters as in `oneLine`; no line after the first begins as a log line does. */
export function manyLines(text: string): string {
  return text.replace(SHAPELESS, escape).replace(/\n(?=\[)/g, "\n  ");
}

function escape(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return LETTERS.get(char) ?? (code < 0x100 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`);
}
