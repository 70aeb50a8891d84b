import { describe, expect, test } from "vitest";
import { PyDate, PyDatetime, PyDecimal, PyFloat, PyTime, PyUuid } from "../../src/protocol/types.ts";

describe("Python's values", () => {
  test("keep their text, and are that text in JSON of the web", () => {
    const all = [
      new PyDate("2024-05-28"),
      new PyTime("01:02:03.5"),
      new PyDecimal("1.50"),
      new PyDatetime("2024-05-28 01:02+09:00"),
      new PyFloat("1e5"),
    ];
    expect(all.map(String)).toEqual(["2024-05-28", "01:02:03.5", "1.50", "2024-05-28 01:02+09:00", "1e5"]);
    expect(JSON.stringify(all)).toBe('["2024-05-28","01:02:03.5","1.50","2024-05-28 01:02+09:00","1e5"]');
  });

  test("tell their number or instant", () => {
    expect(Number(new PyFloat("1.50"))).toBe(1.5);
    expect(Number(new PyDatetime("1970-01-01T00:00:01.000999"))).toBe(1000);
    expect(["1.50", "-inf", "Infinity", "nan"].map((text) => new PyDecimal(text).toNumber())).toEqual([
      1.5,
      -Infinity,
      Infinity,
      NaN,
    ]);
  });

  test("a UUID is a string that knows its digits", () => {
    const id = new PyUuid("12345678123456781234567812345678".toUpperCase().replace("1", "A"));
    expect(id.toString()).toBe("a2345678-1234-5678-1234-567812345678");
    expect(id.hex).toBe("a2345678123456781234567812345678");
    expect(id.length).toBe(36);
    expect(JSON.stringify([id])).toBe('["a2345678-1234-5678-1234-567812345678"]');
  });

  test.each<[string, new (text: string) => unknown, readonly unknown[]]>([
    ["date", PyDate, [
      "2024-5-28",
      "2024-02-30",
      "2024-05-28T00:00:00",
      "20240528",
      "0000-01-01",
      "",
      7,
      null,
    ]],
    ["time", PyTime, [
      "24:00:00",
      "25:00",
      "01:60",
      "01",
      "1:2",
      "01:02:03.1234567",
      "01:02:03+24:00",
      "",
      undefined,
    ]],
    ["datetime", PyDatetime, [
      "2024-05-28T24:00:00",
      "2024-02-30T00:00:00",
      "yesterday",
      "2024-05-28T1",
      "",
      {},
    ]],
    ["decimal", PyDecimal, ["1,5", "0x10", "1_000", ".", "1e9999999999999999", "infinite", "", 1.5]],
    ["float", PyFloat, ["01", "1.", ".5", "NaN", "1e", "+1", "", 1.5]],
    ["UUID", PyUuid, ["zz", "1234567812345678123456781234567", "", null]],
  ])("a %s that Python could not read is refused", (_name, kind, texts) => {
    for (const text of texts) {
      expect(() => new kind(text as string), String(text)).toThrow(
        expect.objectContaining({ name: "EncodeError", code: "value-invalid" }),
      );
    }
  });
});
