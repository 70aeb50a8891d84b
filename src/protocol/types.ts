/**
 * Python's values that JavaScript has no type for, as kombu's JSON carries them. Each keeps the text that a peer wrote, so that it goes
 * on as it came.
 *
 * @module
 */
import { EncodeError } from "../errors.ts";
import { parseInstant } from "./instant.ts";

const DATE = /^\d{4}-\d{2}-\d{2}$/;
/** As Python 3.11 reads it; what it writes is `HH:MM:SS[.ffffff][+HH:MM]`. */
const CLOCK = "(?!24)\\d{2}:\\d{2}(?::\\d{2}(?:\\.\\d{1,6})?)?(?:Z|[+-]\\d{2}:?\\d{2}(?::?\\d{2})?)?";
const TIME = new RegExp(`^${CLOCK}$`);
const DATETIME = new RegExp(`^\\d{4}-\\d{2}-\\d{2}(?:[T ]${CLOCK})?$`);
const DECIMAL = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,15})?|[iI]nf(?:inity)?|s?[nN]a[nN]\d*)$/;
const FLOAT = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A value that is kept as the text of its Python form. */
export abstract class PyText {
  /** The text as it travels. */
  readonly text: string;

  /** `right` says whether the text has the form of `what`; else `EncodeError` "value-invalid". */
  constructor(text: string, right: boolean, what: string) {
    if (typeof text !== "string" || !right) throw notA(what, text);
    this.text = text;
  }

  /** The text. */
  toString(): string {
    return this.text;
  }

  /** The text. */
  toJSON(): string {
    return this.text;
  }

  /** The JSON text that kombu reads as this value. */
  abstract "~json"(envelope: (type: string, value: unknown) => string): string;

  /** The value as Python shows it. */
  abstract "~repr"(float: (value: number) => string): string;
}

/** Python's `datetime.date`: a day without a time, `YYYY-MM-DD`. */
export class PyDate extends PyText {
  /** Takes `YYYY-MM-DD`. */
  constructor(text: string) {
    super(text, DATE.test(text) && parseInstant(text) !== undefined, "date");
  }

  /** Kombu's envelope. */
  "~json"(envelope: (type: string, value: unknown) => string): string {
    return envelope("date", this.text);
  }

  /** As Python shows it. */
  "~repr"(): string {
    return `datetime.date(${dateFields(this.text)})`;
  }
}

/** Python's `datetime.time`: a time of day, `HH:MM:SS[.ffffff][+HH:MM]`. */
export class PyTime extends PyText {
  /** Takes `HH:MM[:SS[.ffffff]]` with or without an offset. */
  constructor(text: string) {
    super(text, TIME.test(text) && parseInstant(`2000-01-01T${text}`) !== undefined, "time");
  }

  /** Kombu's envelope. */
  "~json"(envelope: (type: string, value: unknown) => string): string {
    return envelope("time", this.text);
  }

  /** As Python shows it. */
  "~repr"(): string {
    return `datetime.time(${timeFields(this.text)})`;
  }
}

/** Python's `decimal.Decimal`, with its trailing zeros: `"1.50"`. */
export class PyDecimal extends PyText {
  /** Takes what Python's `Decimal` takes. */
  constructor(text: string) {
    super(text, DECIMAL.test(text), "decimal");
  }

  /** The nearest JavaScript number; digits may be lost. */
  toNumber(): number {
    return Number(this.text.replace(/^([+-]?)inf.*/i, "$1Infinity"));
  }

  /** Kombu's envelope. */
  "~json"(envelope: (type: string, value: unknown) => string): string {
    return envelope("decimal", this.text);
  }

  /** As Python shows it. */
  "~repr"(): string {
    return `Decimal('${this.text}')`;
  }
}

/** Python's `datetime.datetime` in exact form: microseconds and offset kept. In plain form it is a `Date`. */
export class PyDatetime extends PyText {
  /** Takes what `datetime.isoformat()` writes. */
  constructor(text: string) {
    super(text, DATETIME.test(text) && parseInstant(text) !== undefined, "datetime");
  }

  /** The instant in ms since the epoch (naive is UTC); microseconds are dropped. */
  override valueOf(): number {
    return parseInstant(this.text) ?? NaN;
  }

  /** Kombu's envelope. */
  "~json"(envelope: (type: string, value: unknown) => string): string {
    return envelope("datetime", this.text);
  }

  /** As Python shows it. */
  "~repr"(): string {
    return `datetime.datetime(${dateFields(this.text.slice(0, 10))}, ${
      timeFields(this.text.slice(11) || "00:00")
    })`;
  }
}

/** A JSON number in exact form whose text JavaScript would write otherwise: `1.0`, `1e5`. In plain form it is a number. */
export class PyFloat extends PyText {
  /** Takes the text of a JSON number. */
  constructor(text: string) {
    super(text, FLOAT.test(text), "float");
  }

  /** The number. */
  override valueOf(): number {
    return Number(this.text);
  }

  /** Kombu's envelope. */
  "~json"(): string {
    return this.text;
  }

  /** As Python shows it. */
  "~repr"(float: (value: number) => string): string {
    return float(this.valueOf());
  }
}

/** Python's `uuid.UUID`: a string of 36 characters that goes back as a UUID. Compare with `String(a) === b`. */
export class PyUuid extends String {
  /** Takes 32 hex digits with or without dashes. */
  constructor(text: string) {
    const hex = String(text).replaceAll("-", "").toLowerCase();
    if (!/^[0-9a-f]{32}$/.test(hex)) throw notA("UUID", text);
    super(hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));
  }

  /** The 32 hex digits. */
  get hex(): string {
    return this.replaceAll("-", "");
  }

  /** Kombu's envelope. */
  "~json"(envelope: (type: string, value: unknown) => string): string {
    return envelope("uuid", { hex: this.hex });
  }

  /** As Python shows it. */
  "~repr"(): string {
    return `UUID('${this}')`;
  }
}

function notA(what: string, text: unknown): EncodeError {
  return new EncodeError("value-invalid", `Not a ${what}: ${JSON.stringify(String(text).slice(0, 60))}.`);
}

/** `2024, 5, 28` */
function dateFields(text: string): string {
  return text.split("-").map(Number).join(", ");
}

/** `1, 2[, 3[, 400000]][, tzinfo=…]` */
function timeFields(text: string): string {
  const [, hour, minute, second = "0", fraction = "", zone = ""] =
    /^(..):(..)(?::(..))?(?:\.(\d+))?(.*)$/.exec(text) ?? [];
  const fields = [hour, minute, second, fraction.padEnd(6, "0")].map(Number);
  fields.length = fields[3] !== 0 ? 4 : fields[2] !== 0 ? 3 : 2;
  return fields.join(", ") + zoneRepr(zone);
}

function zoneRepr(zone: string): string {
  if (zone === "") return "";
  const [hour, minute, second] = (zone.replaceAll(/\D/g, "") + "000000").match(/../g) ?? [];
  const size = (Number(hour) * 60 + Number(minute)) * 60 + Number(second);
  if (size === 0) return ", tzinfo=datetime.timezone.utc";
  const delta = zone.startsWith("-") ? `days=-1, seconds=${86_400 - size}` : `seconds=${size}`;
  return `, tzinfo=datetime.timezone(datetime.timedelta(${delta}))`;
}
