import { describe, expect, test } from "vitest";
import { exceptionRepr, label, printable, seconds } from "../../src/worker/lines.ts";

describe("foreign text in a line", () => {
  test.each([
    ["tasks.add", "tasks.add"],
    ["größe.計算", "größe.計算"],
    ["a\nTask evil[1] succeeded", "a\\nTask evil[1] succeeded"],
    ["\u001b[2Jcleared", "\\x1b[2Jcleared"],
    ["a\u2028b\u202ec", "a\\u2028b\\u202ec"],
    ["lone \ud800 half", "lone \\ud800 half"],
  ])("%j is shown as %s", (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test("is bounded", () => {
    expect(printable("x".repeat(5000)).length).toBeLessThan(400);
    expect(label("x".repeat(5000), "y".repeat(5000)).length).toBeLessThan(800);
  });
});

test.each([
  [4.9999998882412910, "0.004999999888241291"],
  [1000, "1.0"],
  [1500, "1.5"],
  [0.05, "0.00005"],
  [0.0005, "0.000000500"],
])("a runtime of %f ms is %s seconds", (ms, text) => {
  expect(seconds(ms)).toBe(text);
});

test("an exception is shown as Python's repr", () => {
  const exception = { exc_type: "ValueError", exc_message: ["bad value", 42], exc_module: "builtins" };
  expect(exceptionRepr(exception)).toBe("ValueError('bad value', 42)");
});
