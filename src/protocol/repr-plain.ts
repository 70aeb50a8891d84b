/**
 * Values that have a JSON form as Python's `repr` shows them, cut to a length as Celery's `saferepr` cuts them.
 *
 * @module
 */
import { isRecord } from "./fields.ts";
import { instantText } from "./instant.ts";
import { floatText, numberText } from "./json-writer.ts";
import type { PythonValue } from "./python.ts";
import { utf8Text } from "./utf8.ts";

/** Nesting that is shown; deeper comes out as `[...]`. */
export const MAX_LEVELS = 3;

/** How values are shown that have no JSON form. */
export interface Others {
  /** The text of a value; undefined leaves it to {@link plainRepr}. `inside` are the arrays and objects around it. */
  text(value: unknown, room: number, inside: readonly object[]): string | undefined;
  /** What an object holds, `[key, value]` or `[value]` each; undefined leaves it to {@link plainRepr}. */
  parts(value: object): Iterable<readonly unknown[]> | undefined;
}

/**
 * Python's text of a value, at most about `maxLength` characters, nested at most 3 levels, cut as Celery cuts it. `tuple` shows an array
 * in round brackets. Without `others`, what has no JSON form is shown as None or as an object.
 */
export function plainRepr(value: unknown, maxLength = 1024, tuple = false, others?: Others): string {
  let text = "";
  let left = maxLength;
  let cut = false;
  const inside: object[] = [];

  /** Celery looks at the room before each piece, not after: one that finds none is lost, the brackets after it are still closed. */
  const put = (piece: string): void => {
    if (cut) return;
    cut = left <= 0;
    text += cut ? ", ..." : piece;
    left -= lengthOf(piece);
  };

  const print = (value: unknown): void => {
    if (cut) return;
    const known = others?.text(value, left, inside) ?? leaf(value, left);
    if (known !== undefined) return put(known);
    const group = value as object;
    const list = Array.isArray(group);
    const round = tuple && inside.length === 0;
    const open = !list ? "{" : round ? "(" : "[";
    const close = !list ? "}" : !round ? "]" : group.length === 1 ? ",)" : ")";
    if (inside.length >= MAX_LEVELS) return put(truncated(`${open}...${close}`, left));
    inside.push(group);
    put(open);
    let first = true;
    for (const part of list ? group : others?.parts(group) ?? Object.entries(group)) {
      if (cut) break;
      if (!first) put(", ");
      first = false;
      if (list) print(part);
      else {
        if (part.length > 1) {
          put(plainRepr(part[0], left, false, others));
          put(": ");
        }
        print(part.at(-1));
      }
    }
    inside.pop();
    if (cut) text += close;
    else put(close);
  };

  print(value);
  return text;
}

/** The text of what has no parts; undefined for the others. */
function leaf(value: unknown, room: number): string | undefined {
  if (typeof value === "string") return chars(value, room);
  if (typeof value !== "object" || value === null) return truncated(scalar(value), room);
  if (isRecord(value)) return undefined;
  if (value instanceof Uint8Array) return bytesRepr(value, room);
  const text = (value as Partial<PythonValue>)["~repr"]?.(floatRepr) ??
    (value instanceof Date
      ? dateRepr(value)
      : value instanceof String
      ? chars(value.valueOf(), room)
      : undefined);
  return text && truncated(text, room);
}

function scalar(value: unknown): string {
  if (typeof value === "number") return Number.isFinite(value) ? numberText(value) : floatRepr(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "bigint" ? String(value) : "None";
}

/** JSON's NaN and Infinity are Python's nan and inf. */
function floatRepr(value: number): string {
  return floatText(value).toLowerCase().replace("inity", "");
}

function dateRepr(date: Date): string {
  const text = instantText(date.getTime());
  if (text === undefined) return "None";
  const fields = text.split("+")[0]?.split(/\D/).map(Number) ?? [];
  if (fields[5] === 0 && fields.length < 7) fields.pop();
  return `datetime.datetime(${fields.join(", ")}, tzinfo=datetime.timezone.utc)`;
}

/** The text in quotes, cut to the room. */
export function chars(text: string, room: number): string {
  return `'${truncated(text, room).replaceAll("'", "\\'")}'`;
}

function bytesRepr(bytes: Uint8Array, room: number): string {
  const part = bytes.subarray(0, Math.max(0, room));
  // Celery's own form for bytes that are not text.
  const text = utf8Text(part) ?? Array.from(part, (byte) => (0x100 + byte).toString(16).slice(1)).join("");
  return `b'${text}${part.length < bytes.length ? "..." : ""}'`;
}

/** Celery's `truncate`: cut at the last space before the limit, with dots. */
export function truncated(text: string, room: number): string {
  if (text.length < room || room <= 0) return text;
  // A code point is one unit or two.
  const points = Array.from(text.slice(0, 2 * room));
  if (points.length < room) return text;
  const head = points.slice(0, room).join("");
  const space = head.lastIndexOf(" ");
  return `${space < 0 ? head : head.slice(0, space)}...`;
}

/** Length as Python counts it, in code points. */
function lengthOf(text: string): number {
  return /[\ud800-\udbff]/.test(text) ? Array.from(text).length : text.length;
}
