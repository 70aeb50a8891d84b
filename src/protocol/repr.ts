/**
 * Values as Python's `repr` shows them, cut to a length: Celery's `saferepr`, for `argsrepr`, `kwargsrepr`, events and logs.
 *
 * @module
 */
import { formatInstant, isInstant } from "./instant.ts";
import { floatText, numberText } from "./json-writer.ts";
import { PyDate, PyDatetime, PyDecimal, PyFloat, PyTime, PyUuid } from "./types.ts";

/** Nesting that is shown; deeper comes out as `[...]`. */
const MAX_LEVELS = 3;

/** Python's text of a value, at most about `maxLength` characters, nested at most 3 levels, cut as Celery cuts it. */
export function saferepr(value: unknown, maxLength = 1024): string {
  const printer = new Printer(maxLength);
  printer.print(value, 0, false);
  return printer.text;
}

/** As {@link saferepr}, of positional arguments: Python shows them as a tuple. */
export function reprArgs(args: readonly unknown[], maxLength = 1024): string {
  const printer = new Printer(maxLength);
  printer.print(args, 0, true);
  return printer.text;
}

class Printer {
  text = "";
  #left: number;
  #cut = false;
  readonly #inside = new Set<object>();

  constructor(maxLength: number) {
    this.#left = maxLength;
  }

  /** Prints one value; `tuple` shows an array in round brackets. */
  print(value: unknown, level: number, tuple: boolean): void {
    if (typeof value === "string") return this.#put(() => chars(value, this.#left));
    if (typeof value !== "object" || value === null) {
      return this.#put(() => truncated(scalar(value), this.#left));
    }
    if (Array.isArray(value)) {
      const items: readonly unknown[] = value;
      const close = !tuple ? "]" : items.length === 1 ? ",)" : ")";
      return this.#group(value, level, tuple ? "(" : "[", close, () => {
        for (let i = 0; i < items.length && !this.#cut; i++) {
          if (i > 0) this.#put(() => ", ");
          if (!this.#cut) this.print(items[i], level + 1, false);
        }
      });
    }
    const known = knownRepr(value, this.#left);
    if (known !== undefined) return this.#put(() => truncated(known, this.#left));
    if (value instanceof Uint8Array) return this.#put(() => bytesRepr(value, this.#left));
    if (value instanceof Set) return this.#set(value, level);
    const entries: readonly (readonly [unknown, unknown])[] = value instanceof Map
      ? [...value]
      : Object.entries(value);
    return this.#group(value, level, "{", "}", () => this.#fields(entries, level + 1));
  }

  #fields(entries: readonly (readonly [unknown, unknown])[], level: number): void {
    for (let i = 0; i < entries.length && !this.#cut; i++) {
      const [key, value] = entries[i] ?? [];
      if (i > 0) this.#put(() => ", ");
      this.#put(() => saferepr(key, this.#left));
      this.#put(() => ": ");
      if (!this.#cut) this.print(value, level, false);
    }
  }

  #set(value: ReadonlySet<unknown>, level: number): void {
    if (value.size === 0) return this.#put(() => "set()");
    this.#group(value, level, "{", "}", () => {
      let first = true;
      for (const item of value) {
        if (!first) this.#put(() => ", ");
        first = false;
        if (this.#cut) return;
        this.print(item, level + 1, false);
      }
    });
  }

  #group(value: object, level: number, open: string, close: string, inner: () => void): void {
    if (level >= MAX_LEVELS) return this.#put(() => truncated(`${open}...${close}`, this.#left));
    if (this.#inside.has(value)) return this.#put(() => truncated("<Recursion>", this.#left));
    this.#inside.add(value);
    this.#put(() => open);
    if (this.#cut) {
      this.text += close;
      return;
    }
    inner();
    this.#inside.delete(value);
    if (this.#cut) this.text += close;
    else this.#put(() => close);
  }

  /** Celery looks at the room before each piece, not after: one that finds none is lost, the brackets after it are still closed. */
  #put(piece: () => string): void {
    if (this.#cut) return;
    if (this.#left <= 0) {
      this.#cut = true;
      this.text += ", ...";
      return;
    }
    const text = piece();
    this.text += text;
    this.#left -= lengthOf(text);
  }
}

function scalar(value: unknown): string {
  switch (typeof value) {
    case "boolean":
      return value ? "True" : "False";
    case "number":
      return pythonNumber(value);
    case "bigint":
      return String(value);
    case "function":
      return `<function ${value.name || "<lambda>"}>`;
    case "symbol":
      return `<${String(value)}>`;
    default:
      return "None";
  }
}

function pythonNumber(value: number): string {
  return Number.isFinite(value) ? numberText(value) : notFinite(value);
}

function pythonFloat(value: number): string {
  return Number.isFinite(value) ? floatText(value) : notFinite(value);
}

function notFinite(value: number): string {
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

function knownRepr(value: object, room: number): string | undefined {
  if (value instanceof Date) {
    return isInstant(value.getTime()) ? datetimeRepr(formatInstant(value.getTime())) : "None";
  }
  if (value instanceof PyUuid) return `UUID('${value.valueOf()}')`;
  if (value instanceof PyDecimal) return `Decimal('${value.text}')`;
  if (value instanceof PyFloat) return pythonFloat(value.valueOf());
  if (value instanceof PyDatetime) return datetimeRepr(value.text);
  if (value instanceof PyDate) return `datetime.date(${value.text.split("-").map(Number).join(", ")})`;
  if (value instanceof PyTime) return `datetime.time(${timeFields(value.text)})`;
  if (value instanceof Error) return `${value.name}(${chars(value.message, room)})`;
  if (value instanceof String) return chars(value.valueOf(), room);
  return undefined;
}

function datetimeRepr(text: string): string {
  const date = text.slice(0, 10).split("-").map(Number).join(", ");
  return `datetime.datetime(${date}, ${timeFields(text.length > 11 ? text.slice(11) : "00:00")})`;
}

function timeFields(text: string): string {
  const [, hour, minute, second = "0", fraction = "0", zone = ""] =
    /^(\d{2}):(\d{2})(?::(\d{2}))?(?:\.(\d+))?(.*)$/.exec(text) ?? [];
  const fields = [hour, minute, second, fraction.padEnd(6, "0")].map(Number);
  const shown = fields[3] !== 0 ? 4 : fields[2] !== 0 ? 3 : 2;
  return fields.slice(0, shown).join(", ") + zoneRepr(zone);
}

function zoneRepr(zone: string): string {
  if (zone === "") return "";
  const digits = zone.replaceAll(/[Z:+-]/g, "").padEnd(6, "0");
  const size = Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2, 4)) * 60 +
    Number(digits.slice(4, 6));
  if (size === 0) return ", tzinfo=datetime.timezone.utc";
  const delta = zone.startsWith("-") ? `days=-1, seconds=${86_400 - size}` : `seconds=${size}`;
  return `, tzinfo=datetime.timezone(datetime.timedelta(${delta}))`;
}

function chars(text: string, room: number): string {
  return `'${truncated(text, room).replaceAll("'", "\\'")}'`;
}

function bytesRepr(bytes: Uint8Array, room: number): string {
  const part = bytes.length > room ? bytes.subarray(0, room) : bytes;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(part);
  } catch {
    // Celery's own form for bytes that are not text.
    text = Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  return `b'${text}${part.length < bytes.length ? "..." : ""}'`;
}

/** Celery's `truncate`: cut at the last space before the limit, with dots. */
function truncated(text: string, room: number): string {
  if (text.length < room || lengthOf(text) < room) return text;
  const head = WIDE.test(text) ? Array.from(text).slice(0, room).join("") : text.slice(0, room);
  const space = head.lastIndexOf(" ");
  return `${space < 0 ? head : head.slice(0, space)}...`;
}

const WIDE = /[\ud800-\udbff][\udc00-\udfff]/;

/** Length as Python counts it, in code points. */
function lengthOf(text: string): number {
  return WIDE.test(text) ? Array.from(text).length : text.length;
}
