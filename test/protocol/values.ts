/** Arbitrary values that can travel, and a tally of the kinds that a run has seen. */
import fc from "fast-check";
import { formatInstant } from "../../src/protocol/instant.ts";
import { floatText } from "../../src/protocol/json-writer.ts";
import { PyDate, PyDatetime, PyDecimal, PyFloat, PyTime, PyUuid } from "../../src/protocol/types.ts";

const FIRST = new Date("0001-01-01T00:00:00.000Z");
const LAST = new Date("9999-12-31T23:59:59.999Z");

export const date = fc.date({ min: FIRST, max: LAST, noInvalidDate: true });

export const text = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: "binary" }),
  // Lone surrogates, and what JSON escapes.
  fc.array(
    fc.constantFrom("\ud800", "\udc00", '"', "\\", "\n", "\u007f", "\0", "'", "é", "\u2028", " ", "a"),
  ).map((parts) => parts.join("")),
);

const double = fc.double({ noNaN: true, noDefaultInfinity: true });

const digits = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(..."0123456789"), minLength: length, maxLength: length });

const offset = fc.constantFrom("", "+00:00", "+09:00", "-03:30");

const pyDate = date.map((day) => new PyDate(formatInstant(day.getTime()).slice(0, 10)));

const pyTime = fc.tuple(date, offset, fc.boolean(), digits(6)).map(([day, zone, fraction, micros]) => {
  const clock = formatInstant(day.getTime()).slice(11, 19);
  return new PyTime(`${clock}${fraction && micros !== "000000" ? `.${micros}` : ""}${zone}`);
});

/** With room for an offset at either end of Python's years. */
const inside = fc.date({
  min: new Date(FIRST.getTime() + 86_400_000),
  max: new Date(LAST.getTime() - 86_400_000),
  noInvalidDate: true,
});

export const pyDatetime = fc.tuple(inside, offset, fc.boolean(), digits(6)).map(
  ([day, zone, fraction, micros]) => {
    const shown = formatInstant(day.getTime()).slice(0, 19);
    return new PyDatetime(`${shown}${fraction && micros !== "000000" ? `.${micros}` : ""}${zone}`);
  },
);

export const pyFloat = double.map((value) => new PyFloat(floatText(value)));

const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat(9)).map((
  [whole, zeros],
) => new PyDecimal(zeros === 0 ? String(whole) : `${whole}.${"5".padEnd(zeros, "0")}`));

const key = fc.oneof(text, fc.constantFrom("__proto__", "constructor", "toString", "__type__", "a b"));

function isEnvelope(keys: readonly string[]): boolean {
  return keys.length === 2 && keys.includes("__type__") && keys.includes("__value__");
}

/** Values whose plain form is the same after writing and reading. */
export const plainLeaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  text,
  fc.maxSafeInteger(),
  double,
  fc.constantFrom(NaN, Infinity, -Infinity, -0, 2 ** 53, 1e21, 1e-7, 5e-324),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }).filter((value) => !Number.isSafeInteger(Number(value))),
  date,
  pyDate,
  pyTime,
  decimal,
  fc.uuid().map((id) => new PyUuid(id)),
  fc.uint8Array(),
);

/** Also those that only the exact form keeps. */
export const exactLeaf = fc.oneof(
  fc.constant(null),
  text,
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }).filter((value) => !Number.isSafeInteger(Number(value))),
  pyDatetime,
  pyFloat,
  pyDate,
  pyTime,
  decimal,
  fc.uuid().map((id) => new PyUuid(id)),
  fc.uint8Array(),
);

export function valueOf(leaf: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      leaf,
      fc.array(tie("value"), { maxLength: 5 }),
      fc.dictionary(key, tie("value"), { maxKeys: 5, noNullPrototype: true }).filter((fields) =>
        !isEnvelope(Object.keys(fields))
      ),
    ),
  })).value;
}

/** Counts the kinds of value that a property has seen; `report` prints one line, so that a property that sees nothing shows. */
export class Coverage {
  readonly #seen = new Map<string, number>();

  see(value: unknown): void {
    const kind = value === null
      ? "null"
      : typeof value !== "object"
      ? typeof value
      : (Object.getPrototypeOf(value) as object).constructor.name;
    this.#seen.set(kind, (this.#seen.get(kind) ?? 0) + 1);
    if (Array.isArray(value)) { for (const item of value) this.see(item); }
    else if (kind === "Object") { for (const item of Object.values(value as object)) this.see(item); }
  }

  count(kind: string): void {
    this.#seen.set(kind, (this.#seen.get(kind) ?? 0) + 1);
  }

  get kinds(): readonly string[] {
    return [...this.#seen.keys()];
  }

  report(name: string): void {
    console.log(
      `${name}: ${
        [...this.#seen].sort(([, a], [, b]) => b - a).map(([kind, n]) => `${kind} ${n}`).join(", ")
      }`,
    );
  }
}
