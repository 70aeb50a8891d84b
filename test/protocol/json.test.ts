import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBody, decodeJson, encodeJson } from "../../src/protocol/json.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { PyDate, PyDatetime, PyDecimal, PyFloat, PyTime, PyUuid } from "../../src/protocol/types.ts";
import { Coverage, exactLeaf, plainLeaf, valueOf } from "./values.ts";
import { often } from "../support/thorough.ts";

const exact = { exact: true };

describe("encodeJson", () => {
  test.each<[unknown, string]>([
    [null, "null"],
    [{ b: 1, a: [true, false] }, '{"b": 1, "a": [true, false]}'],
    [[], "[]"],
    [{}, "{}"],
    [[NaN, Infinity, -Infinity], "[NaN, Infinity, -Infinity]"],
    [[0, -0, 1.5, 1e-4, 1e-5, 1.5e-7, 1e-100], "[0, -0.0, 1.5, 0.0001, 1e-05, 1.5e-07, 1e-100]"],
    [
      [1e15, 2 ** 53 - 1, 2 ** 53, 1e16, 1e21, 1.5e300],
      "[1000000000000000, 9007199254740991, 9007199254740992.0, 1e+16, 1e+21, 1.5e+300]",
    ],
    [[1n, 2n ** 70n], "[1, 1180591620717411303424]"],
    ["é셔😀\u007f\u2028\n\ud800", '"\\u00e9\\uc154\\ud83d\\ude00\\u007f\\u2028\\n\\ud800"'],
    ['"\\/', '"\\"\\\\/"'],
    [{ é: 1 }, '{"\\u00e9": 1}'],
    [{ gone: undefined, kept: null }, '{"kept": null}'],
    [new Date(0), '{"__type__": "datetime", "__value__": "1970-01-01T00:00:00+00:00"}'],
    [new Date(7), '{"__type__": "datetime", "__value__": "1970-01-01T00:00:00.007000+00:00"}'],
    [
      new PyDatetime("2024-05-28T01:02:03.000001"),
      '{"__type__": "datetime", "__value__": "2024-05-28T01:02:03.000001"}',
    ],
    [new PyDate("2024-05-28"), '{"__type__": "date", "__value__": "2024-05-28"}'],
    [new PyTime("01:02:00"), '{"__type__": "time", "__value__": "01:02:00"}'],
    [new PyDecimal("1.50"), '{"__type__": "decimal", "__value__": "1.50"}'],
    [
      new PyUuid("12345678-1234-5678-1234-567812345678"),
      '{"__type__": "uuid", "__value__": {"hex": "12345678123456781234567812345678"}}',
    ],
    [new TextEncoder().encode("hé"), '{"__type__": "bytes", "__value__": "h\\u00e9"}'],
    [Uint8Array.of(0, 255), '{"__type__": "base64", "__value__": "AP8="}'],
    [new PyFloat("1.0"), "1.0"],
    [{ toJSON: () => ({ x: 1 }) }, '{"x": 1}'],
    [Object.assign(Object.create(null) as object, { x: 1 }), '{"x": 1}'],
    [
      new (class Point {
        x = 1;
      })(),
      '{"x": 1}',
    ],
    [JSON.parse('{"__proto__": 1}'), '{"__proto__": 1}'],
  ])("writes %o as Python does", (value, text) => {
    expect(encodeJson(value)).toBe(text);
  });

  const cycle: unknown[] = [];
  cycle.push(cycle);
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  test.each<[string, unknown, string]>([
    ["undefined", undefined, "json-undefined"],
    ["a hole in an array", [undefined], "json-undefined"],
    ["a function", () => 1, "json-unencodable"],
    ["a symbol", Symbol("x"), "json-unencodable"],
    ["a Map", new Map(), "json-unencodable"],
    ["a Set", new Set(), "json-unencodable"],
    ["a promise that nobody awaited", Promise.resolve(1), "json-unencodable"],
    ["an Error", new Error("x"), "json-unencodable"],
    ["a Float64Array", new Float64Array(1), "json-unencodable"],
    ["an invalid Date", new Date(NaN), "json-invalid-date"],
    ["a Date beyond Python's years", new Date(8.64e15), "json-invalid-date"],
    ["kombu's own envelope", { __type__: "date", __value__: "2024-05-28" }, "json-reserved"],
    ["a value that contains itself", cycle, "json-depth"],
    ["a value nested 100,000 deep", deep, "json-depth"],
    ["an integer longer than Python reads", 10n ** 4300n, "json-unencodable"],
    ["a getter that throws", {
      get x() {
        throw new Error("no");
      },
    }, "json-unencodable"],
    ["a toJSON that never ends", {
      toJSON() {
        return this;
      },
    }, "json-depth"],
  ])("refuses %s", (_name, value, code) => {
    expect(() => encodeJson(value)).toThrow(expect.objectContaining({ name: "EncodeError", code }));
  });

  test("says where in the value the part stands", () => {
    expect(() => encodeJson([1, { items: [{ "odd key": undefined, when: new Date(NaN) }] }])).toThrow(
      "At [1].items[0].when: ",
    );
    expect(() => encodeJson({ "odd key": [() => 1] })).toThrow('At ["odd key"][0]: ');
  });
});

describe("decodeJson", () => {
  test("gives plain values their JavaScript form", () => {
    const text = '[{"__type__": "datetime", "__value__": "2024-05-28T01:02:03.456789"}, ' +
      '{"__type__": "datetime", "__value__": "2024-05-28T01:02:03+09:00"}, {"__type__": "date", "__value__": "2024-05-28"}, ' +
      '{"__type__": "time", "__value__": "01:02:03"}, {"__type__": "decimal", "__value__": "1.10"}, ' +
      '{"__type__": "uuid", "__value__": {"hex": "12345678123456781234567812345678", "version": 99}}, ' +
      '{"__type__": "base64", "__value__": "AP8="}, {"__type__": "bytes", "__value__": "h\\u00e9"}, 1.0, NaN, -Infinity, 9007199254740993]';
    expect(decodeJson(text)).toEqual([
      new Date("2024-05-28T01:02:03.456Z"),
      new Date("2024-05-27T16:02:03Z"),
      new PyDate("2024-05-28"),
      new PyTime("01:02:03"),
      new PyDecimal("1.10"),
      new PyUuid("12345678-1234-5678-1234-567812345678"),
      Uint8Array.of(0, 255),
      new TextEncoder().encode("hé"),
      1,
      NaN,
      -Infinity,
      9007199254740993n,
    ]);
  });

  test.each([
    '{"a": [1.0, 100000.0, 1e+16, 1e-05, 0.1, -0.0, 1.10, 1E5, 1152921504606846976, -9007199254740993]}',
    '{"__type__": "datetime", "__value__": "2024-05-28T01:02:03.456789"}',
    '{"__type__": "datetime", "__value__": "2024-05-28T01:02:03+09:00"}',
    '{"__type__": "decimal", "__value__": "1.50"}',
    '{"a": {"__type__": "date", "__value__": "2024-05-28", "more": {"__type__": "uuid", "__value__": {"hex": "12345678123456781234567812345678"}}}}',
    "[NaN, Infinity, -Infinity]",
    '{"__proto__": {"x": 1}, "constructor": {"prototype": {"x": 1}}}',
  ])("keeps %s in exact form as it was written", (text) => {
    expect(encodeJson(decodeJson(text, exact))).toBe(text);
  });

  test("sees an envelope whose letters are escaped, as Python does", () => {
    expect(decodeJson('{"\\u005f_type__": "date", "__v\\u0061lue__": "2024-05-28"}')).toEqual(
      new PyDate("2024-05-28"),
    );
  });

  test("reads a number of 16 digits inside a text as text", () => {
    expect(decodeJson('["1234567890123456789"]')).toEqual(["1234567890123456789"]);
  });

  test.each([
    '{"__type__": "datetime", "__value__": "yesterday"}',
    '{"__type__": "datetime", "__value__": "2024-02-30T00:00:00"}',
    '{"__type__": "date", "__value__": "2024-13-01"}',
    '{"__type__": "time", "__value__": 7}',
    '{"__type__": "decimal", "__value__": "1,5"}',
    '{"__type__": "uuid", "__value__": {"hex": "zz"}}',
    '{"__type__": "uuid", "__value__": "12345678123456781234567812345678"}',
    '{"__type__": "base64", "__value__": "*"}',
    '{"__type__": "os.system", "__value__": "ls"}',
    '{"__type__": "__proto__", "__value__": {}}',
    '{"__type__": null, "__value__": {}}',
    '{"__type__": "datetime", "__value__": {"__type__": "decimal", "__value__": "1"}}',
    "",
    " ",
    "{",
    "[1,]",
    '{"a" 1}',
    "[1 2]",
    "{1: 2}",
    "01",
    "[1.]",
    "+1",
    "[NaN",
    "nan",
    "-",
    "[NaN] x",
    '["\n", NaN]',
    '["\\x", NaN]',
    '["a, NaN]',
    "\ufeff[]",
    `[${"9".repeat(4301)}]`,
  ])("refuses %j", (text) => {
    expect(() => decodeJson(text)).toThrow(
      expect.objectContaining({ name: "DecodeError", code: "decode-json" }),
    );
    expect(() => decodeJson(text, exact)).toThrow(expect.objectContaining({ name: "DecodeError" }));
  });

  test("refuses what is nested too deeply or has too many keys before it decodes, and without a stack overflow", () => {
    const deep = "[".repeat(100_000);
    for (const text of [deep, deep + "]".repeat(100_000), '{"a":'.repeat(100_000), `[NaN, ${deep}`]) {
      expect(() => decodeJson(text)).toThrow(expect.objectContaining({ code: "decode-too-deep" }));
    }
    const limits = { ...DEFAULT_LIMITS, maxDepth: 3, maxKeys: 2 };
    expect(decodeJson('[[["]]][[[["]]]', { limits })).toEqual([[["]]][[[["]]]);
    expect(() => decodeJson("[[[[]]]]", { limits })).toThrow(
      expect.objectContaining({ code: "decode-too-deep" }),
    );
    expect(() => decodeJson('{"a":1,"b":2,"c":3}', { limits })).toThrow(
      expect.objectContaining({ code: "decode-too-many-keys" }),
    );
    expect(decodeJson('{"a\\":::":1,"b":2}', { limits })).toEqual({ 'a":::': 1, b: 2 });
  });

  test("refuses too many values before it decodes, counted by commas and brackets outside of texts", () => {
    const limits = { ...DEFAULT_LIMITS, maxValues: 5 };
    expect(decodeJson("[1, 2, 3, 4]", { limits })).toEqual([1, 2, 3, 4]);
    expect(decodeJson('["a,b,c,d,[[[{{{", "\\",,,,,"]', { limits })).toEqual(["a,b,c,d,[[[{{{", '",,,,,']);
    for (
      const text of [
        "[1,2,3,4,5,6]",
        "[{},{},{},{}]",
        "[[[[[[]]]]]]",
        '{"a":1,"b":[2,3,4,5]}',
        "[NaN,1,2,3,4,5]",
      ]
    ) {
      expect(() => decodeJson(text, { limits })).toThrow(
        expect.objectContaining({ name: "DecodeError", code: "decode-too-many-values" }),
      );
    }
  });

  test("an unreasonable limit on depth still gives a DecodeError, not a stack overflow", () => {
    const text = `[NaN, ${"[".repeat(1_000_000)}`;
    expect(() => decodeJson(text, { limits: { ...DEFAULT_LIMITS, maxDepth: 1e9 } })).toThrow(
      expect.objectContaining({ name: "DecodeError" }),
    );
  });

  test("reads a million zeros, half a million short lists, and bytes of 8 MiB soon", () => {
    expect(decodeJson(`[${"0,".repeat(999_998)}0]`)).toHaveLength(999_999);
    expect(decodeJson(`[[]${",[]".repeat(499_998)}]`)).toHaveLength(499_999);
    const text = `{"__type__": "base64", "__value__": "${"AQEB".repeat(8 * 2 ** 20 / 3)}"}`;
    const before = process.cpuUsage();
    const found = decodeJson(text) as Uint8Array;
    const { user, system } = process.cpuUsage(before);
    expect(found).toHaveLength(Math.floor(8 * 2 ** 20 / 3) * 3);
    expect(found.every((byte) => byte === 1)).toBe(true);
    console.log(`8 MiB of base64 read in ${Math.round((user + system) / 1000)} ms of CPU`);
    expect((user + system) / 1000).toBeLessThan(700);
  });

  test("reads a long text with a million escapes beside a NaN", () => {
    const long = "\n".repeat(1_000_000);
    expect(decodeJson(`[NaN, ${JSON.stringify(long)}]`)).toEqual([NaN, long]);
  });

  test.each(["[1, %]", "[NaN, %]"])("makes __proto__ a field of its own in %s", (frame) => {
    const [, fields] = decodeJson(frame.replace("%", '{"__proto__": {"polluted": true}, "b": 1}')) as [
      unknown,
      object,
    ];
    expect(Object.keys(fields)).toEqual(["__proto__", "b"]);
    expect(Object.getPrototypeOf(fields)).toBe(Object.prototype);
    expect("polluted" in fields).toBe(false);
    expect("polluted" in {}).toBe(false);
  });

  test("a body's arguments are plain, what follows them exact", () => {
    expect(decodeBody('[[1.0], {"a": 1.0}, {"chain": [1.0]}]')).toEqual([[1], { a: 1 }, {
      chain: [new PyFloat("1.0")],
    }]);
    expect(decodeBody("[[1.0], {}, {}]", exact)).toEqual([[new PyFloat("1.0")], {}, {}]);
  });
});

describe("P25: a round trip", () => {
  test("of any value gives the value, in plain form", () => {
    const seen = new Coverage();
    fc.assert(
      fc.property(valueOf(plainLeaf), (value) => {
        seen.see(value);
        expect(decodeJson(encodeJson(value))).toEqual(value);
      }),
      { numRuns: often(2000) },
    );
    seen.report("plain round trip");
    expect(seen.kinds).toEqual(
      expect.arrayContaining([
        "null",
        "Date",
        "PyDate",
        "PyTime",
        "PyDecimal",
        "PyUuid",
        "Uint8Array",
        "bigint",
        "number",
        "Object",
      ]),
    );
  });

  test("of any text that we write gives the text, in exact form", () => {
    const seen = new Coverage();
    fc.assert(
      fc.property(valueOf(exactLeaf), (value) => {
        seen.see(value);
        const text = encodeJson(value);
        expect(encodeJson(decodeJson(text, exact))).toBe(text);
      }),
      { numRuns: often(2000) },
    );
    seen.report("exact round trip");
    expect(seen.kinds).toEqual(expect.arrayContaining(["PyDatetime", "PyFloat", "bigint", "Uint8Array"]));
  });

  test("agrees with JSON.parse on any JSON of the web", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const value: unknown = JSON.parse(text);
        expect(JSON.parse(encodeJson(decodeJson(text)))).toEqual(value);
        expect(JSON.parse(encodeJson(decodeJson(text, exact)))).toEqual(value);
      }),
      { numRuns: often(1000) },
    );
  });
});
