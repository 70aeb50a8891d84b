import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigurationError } from "../../src/errors.ts";
import { type Duration, toMs } from "../../src/lib/duration.ts";

describe("toMs", () => {
  test.each<[Duration, number]>([
    [0, 0],
    [5, 5000],
    [0.07, 70],
    [0.0005, 0.5],
    ["250ms", 250],
    ["1.5s", 1500],
    ["10s", 10_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["2d", 172_800_000],
    ["0s", 0],
    [".5s", 500],
  ])("%j is %d ms: a number is seconds, a text says its unit", (value, ms) => {
    expect(toMs(value, "countdown")).toBe(ms);
  });

  test.each([
    NaN,
    Infinity,
    -Infinity,
    -1,
    -0.001,
    1e308,
    "",
    "5",
    "5 s",
    "-5s",
    "1e3s",
    "s",
    "5S",
    "5sec",
    "Infinitys",
    null,
    undefined,
    {},
    [],
    true,
    5n,
    new Date(0),
  ])(
    "%o is refused, and the error names the option",
    (value) => {
      expect(() => toMs(value as never, "countdown")).toThrow(
        expect.objectContaining({ code: "duration-invalid" }),
      );
      expect(() => toMs(value as never, "countdown")).toThrow(ConfigurationError);
      expect(() => toMs(value as never, "countdown")).toThrow(/^countdown is not a duration: /);
    },
  );

  test("gives a finite number that is not negative, or throws its own error, for whatever it is given", () => {
    fc.assert(fc.property(fc.anything(), (value) => {
      try {
        const ms = toMs(value as never, "x");
        expect(Number.isFinite(ms) && ms >= 0).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: "duration-invalid" });
      }
    }));
  });
});
