/**
 * UTF-8, strictly.
 *
 * @module
 */

/** Writes UTF-8. */
export const encoder: TextEncoder = /* @__PURE__ */ new TextEncoder();

/** Reads UTF-8: a byte order mark is a character like any other, and what is broken throws. */
export const decoder: TextDecoder = /* @__PURE__ */ new TextDecoder("utf-8", {
  fatal: true,
  ignoreBOM: true,
});

/** The text in the bytes, or undefined where they are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
