import { describe, expect, test } from "vitest";
import { reprArgs, saferepr } from "../../src/protocol/repr.ts";
import { PyDate, PyDatetime, PyDecimal, PyFloat, PyTime, PyUuid } from "../../src/protocol/types.ts";

describe("saferepr", () => {
  test.each<[unknown, string]>([
    [null, "None"],
    [undefined, "None"],
    [true, "True"],
    [[1, 1.5, -0, NaN, -Infinity, 10n], "[1, 1.5, -0.0, nan, -inf, 10]"],
    ["it's\n", "'it\\'s\n'"],
    [{ a: true, b: null }, "{'a': True, 'b': None}"],
    [[[[[1]]]], "[[[[...]]]]"],
    [{ a: { b: { c: {} } } }, "{'a': {'b': {'c': {...}}}}"],
    [new Set([1, "a"]), "{1, 'a'}"],
    [new Set(), "set()"],
    [new Map([[1, [2]]]), "{1: [2]}"],
    [new Date(7), "datetime.datetime(1970, 1, 1, 0, 0, 0, 7000, tzinfo=datetime.timezone.utc)"],
    [new Date(NaN), "None"],
    [new PyDatetime("2024-05-28"), "datetime.datetime(2024, 5, 28, 0, 0)"],
    [
      new PyDatetime("2024-05-28T01:02:03.5-03:30"),
      "datetime.datetime(2024, 5, 28, 1, 2, 3, 500000, tzinfo=datetime.timezone(datetime.timedelta(days=-1, seconds=73800)))",
    ],
    [new PyDate("2024-05-28"), "datetime.date(2024, 5, 28)"],
    [new PyTime("01:02:00"), "datetime.time(1, 2)"],
    [new PyDecimal("1.10"), "Decimal('1.10')"],
    [new PyFloat("1.0"), "1.0"],
    [new PyUuid("12345678-1234-5678-1234-567812345678"), "UUID('12345678-1234-5678-1234-567812345678')"],
    [new TextEncoder().encode("hé"), "b'hé'"],
    [Uint8Array.of(0, 255), "b'00ff'"],
    [new TypeError("no"), "TypeError('no')"],
    [function go() {}, "<function go>"],
    [Symbol("s"), "<Symbol(s)>"],
  ])("of %o is as in Python", (value, text) => {
    expect(saferepr(value)).toBe(text);
  });

  test("cuts a long value, and still closes its brackets", () => {
    expect(saferepr("word ".repeat(10), 12)).toBe("'word word...'");
    expect(saferepr({ a: ["x".repeat(30), 2], b: 3 }, 20)).toMatch(/, \.\.\.\]?\}$/);
    const long = saferepr(Array.from({ length: 100_000 }, (_, index) => index));
    expect(long.length).toBeLessThan(1040);
    expect(long.endsWith(", ...]")).toBe(true);
  });

  test("a value that contains itself ends", () => {
    const round: unknown[] = [1];
    round.push(round);
    expect(saferepr(round)).toBe("[1, <Recursion>]");
  });

  test("arguments are a tuple", () => {
    expect([reprArgs([]), reprArgs([1]), reprArgs([1, [2]])]).toEqual(["()", "(1,)", "(1, [2])"]);
  });
});
