import { describe, expect, test } from "vitest";
import { formatInstant, isInstant, parseInstant } from "../../src/protocol/instant.ts";

describe("parseInstant", () => {
  test.each([
    ["2026-11-22T06:02:59.603598+00:00", Date.UTC(2026, 10, 22, 6, 2, 59, 603)],
    ["2026-11-22T06:02:59", Date.UTC(2026, 10, 22, 6, 2, 59)],
    ["2026-11-22T06:02:59Z", Date.UTC(2026, 10, 22, 6, 2, 59)],
    ["2026-11-22T15:02:59+09:00", Date.UTC(2026, 10, 22, 6, 2, 59)],
    ["2026-11-22T02:32:59-03:30", Date.UTC(2026, 10, 22, 6, 2, 59)],
    ["20261122T060259Z", Date.UTC(2026, 10, 22, 6, 2, 59)],
    ["2026-11-22 06:02", Date.UTC(2026, 10, 22, 6, 2)],
    ["2026-11-22T06", Date.UTC(2026, 10, 22, 6)],
    ["2026-11-22", Date.UTC(2026, 10, 22)],
    ["2026-11-22T24:00:00", Date.UTC(2026, 10, 23)],
    ["0001-01-01T00:00:00+00:00", -62_135_596_800_000],
    ["9999-12-31T23:59:59.999999+00:00", 253_402_300_799_999],
    ["2024-02-29", Date.UTC(2024, 1, 29)],
  ])("%s", (text, ms) => {
    expect(parseInstant(text)).toBe(ms);
  });

  const hostile = [1e308, -1, 0, NaN, null, undefined, true, {}, [], new Date(0), 5n];
  test.each([
    ...hostile,
    "",
    "now",
    "1795324844",
    "1e308",
    "2026-02-30",
    "2026-13-01",
    "2026-00-10",
    "0000-01-01",
    "10000-01-01",
    "+2026-11-22",
    "2026-11-22T25:00:00",
    "2026-11-22T24:00:01",
    "2026-11-22T06:60",
    "2026-11-22T06:02:60",
    "2026-11-22T06:02:59+24:00",
    "2026-11-22T06:02:59+0",
    "2026-1122",
    "2026-11-22T06:0259",
    "9999-12-31T24:00:00",
    "0001-01-01T00:00:00+09:00",
    "2026-11-22T06:02:59 ",
    "٢٠٢٦-11-22",
    "2026-11-22T06:02:59.6035980000",
    "2026-11-22".padEnd(1_000_000, "0"),
  ])("is undefined for %o", (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });
});

describe("formatInstant", () => {
  test("writes as datetime.isoformat: six digits, or none where the fraction is zero", () => {
    expect(formatInstant(Date.UTC(2026, 10, 22, 6, 2, 59, 603))).toBe("2026-11-22T06:02:59.603000+00:00");
    expect(formatInstant(0)).toBe("1970-01-01T00:00:00+00:00");
    expect(formatInstant(-62_135_596_800_000)).toBe("0001-01-01T00:00:00+00:00");
  });

  test.each([NaN, Infinity, -62_135_596_800_001, 253_402_300_800_000])(
    "refuses %d, which Python cannot hold",
    (ms) => {
      expect(isInstant(ms)).toBe(false);
      expect(() => formatInstant(ms)).toThrow(RangeError);
    },
  );
});
