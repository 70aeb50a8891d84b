import { expect, test } from "vitest";
import { assert, AssertionError } from "../../src/testing/mod.ts";

/** What an assertion throws. */
function thrown(action: () => void): AssertionError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error as AssertionError;
  }
}

const loop: { self?: unknown } = {};
loop.self = loop;
const other: { self?: unknown } = {};
other.self = other;

test.each<[string, unknown, unknown]>([
  ["numbers", 1, 1],
  ["NaN", NaN, NaN],
  ["nested", { a: [1, { b: "x" }] }, { a: [1, { b: "x" }] }],
  ["keys in another order", { a: 1, b: 2 }, { b: 2, a: 1 }],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 2])],
  ["dates", new Date(5), new Date(5)],
  ["maps", new Map([["a", [1]]]), new Map([["a", [1]]])],
  ["sets", new Set([1, 2]), new Set([1, 2])],
  ["errors", new TypeError("x"), new TypeError("x")],
  ["bigints", 2n ** 70n, 2n ** 70n],
  ["circles", loop, other],
])("%s are deeply equal", (_what, actual, expected) => assert.deepEqual(actual, expected, "equal"));

test.each<[string, unknown, unknown, string]>([
  ["a number and its text", 1, "1", 'what: expected "1", got 1'],
  ["both zeros", 0, -0, "what: expected -0, got 0"],
  ["null and undefined", null, undefined, "what: expected undefined, got null"],
  [
    "a property deep inside",
    { a: [1, { b: "x" }] },
    { a: [1, { b: "y" }] },
    'what: at a[1].b: expected "y", got "x"',
  ],
  ["a key that is undefined", { a: undefined }, {}, "what: expected {}, got { a: undefined }"],
  ["a name with a dash", { "x-y": 1 }, { "x-y": 2 }, 'what: at ["x-y"]: expected 2, got 1'],
  ["the lengths of lists", [1, 2], [1], "what: expected [1], got [1, 2]"],
  ["a list and an object", [], {}, "what: expected {}, got []"],
  ["bytes", new Uint8Array([1]), new Uint8Array([2]), "what: at [0]: expected 2, got 1"],
  [
    "dates",
    new Date(5),
    new Date(6),
    "what: expected 1970-01-01T00:00:00.006Z, got 1970-01-01T00:00:00.005Z",
  ],
  ["a map's value", new Map([["a", 1]]), new Map([["a", 2]]), 'what: at .get("a"): expected 2, got 1'],
  ["sets", new Set([1]), new Set([2]), "what: at [...set][0]: expected 2, got 1"],
  [
    "classes of errors",
    new TypeError("x"),
    new RangeError("x"),
    "what: expected [RangeError: x], got [TypeError: x]",
  ],
  ["texts of errors", new Error("x"), new Error("y"), "what: expected [Error: y], got [Error: x]"],
  ["patterns", /a/, /a/i, "what: expected /a/i, got /a/"],
  ["a circle", loop, { self: 1 }, "what: at self: expected 1, got { self: [circular] }"],
  ["functions", Math.max, Math.min, "what: expected [function min], got [function max]"],
])("%s are told apart: the message has both", (_what, actual, expected, message) => {
  const error = thrown(() => assert.deepEqual(actual, expected, "what"));
  expect(error).toBeInstanceOf(AssertionError);
  expect(error?.message).toBe(message);
  expect([error?.actual, error?.expected]).toEqual([actual, expected]);
});

test("ok takes what is truthy and throws the message for what is not", () => {
  assert.ok("text", "never");
  const error = thrown(() => assert.ok(0, "a sentence"));
  expect(error).toBeInstanceOf(AssertionError);
  expect([error?.name, error?.message, error?.actual]).toEqual(["AssertionError", "a sentence", 0]);
});

test("a long value is cut and says how long it was", () => {
  const message = thrown(() => assert.deepEqual("x".repeat(5000), "", "what"))?.message;
  expect(message).toMatch(/x… \(5002 characters\)$/);
  expect(message?.length).toBeLessThan(2100);
});
