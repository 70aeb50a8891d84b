import { describe, expect, test } from "vitest";
import { decodeException, encodeException, tracebackOf } from "../../src/protocol/exception.ts";
import { encodeJson } from "../../src/protocol/json.ts";

class PaymentError extends Error {
  override name = "PaymentError";
}

describe("encodeException", () => {
  test.each<[unknown, string, readonly unknown[], string]>([
    [new Error("boom"), "Error", ["boom"], "celeriac"],
    [new TypeError("boom"), "TypeError", ["boom"], "builtins"],
    [new SyntaxError("boom"), "SyntaxError", ["boom"], "builtins"],
    [new RangeError("boom"), "RangeError", ["boom"], "celeriac"],
    [new PaymentError("boom"), "PaymentError", ["boom"], "celeriac"],
    [Object.assign(new Error("boom"), { name: "ValueError" }), "ValueError", ["boom"], "builtins"],
    // A Python peer that raised these would end.
    [Object.assign(new Error("boom"), { name: "SystemExit" }), "SystemExit", ["boom"], "celeriac"],
    [
      Object.assign(new Error("boom"), { name: "KeyboardInterrupt" }),
      "KeyboardInterrupt",
      ["boom"],
      "celeriac",
    ],
    [Object.assign(new Error("boom"), { name: "" }), "Error", ["boom"], "celeriac"],
    [Object.assign(new Error("boom"), { name: 5 }), "Error", ["boom"], "celeriac"],
    [Object.assign(new Error("boom"), { name: "a\0b" }), "ab", ["boom"], "celeriac"],
    [new AggregateError([new Error("a")], "many"), "AggregateError", ["many"], "celeriac"],
    ["text", "Error", ["text"], "celeriac"],
    [undefined, "Error", ["None"], "celeriac"],
    [{ code: 7 }, "Error", ["{'code': 7}"], "celeriac"],
  ])("%o", (error, exc_type, exc_message, exc_module) => {
    expect(encodeException(error)).toEqual({ exc_type, exc_message, exc_module });
  });

  test("an error that came from a peer goes on as it came, but for what has no JSON form", () => {
    const remote = Object.assign(new Error("x"), {
      excType: "KeyError",
      excMessage: ["missing", new Map([[1, 2]])],
      excModule: "builtins",
    });
    expect(encodeException(remote)).toEqual({
      exc_type: "KeyError",
      exc_message: ["missing", "{1: 2}"],
      exc_module: "builtins",
    });
  });

  test("whatever is thrown can be written", () => {
    for (const thrown of [Symbol("s"), () => 1, new Map(), 10n, NaN, null, new Proxy({}, {})]) {
      expect(() => encodeJson(encodeException(thrown))).not.toThrow();
    }
  });
});

describe("tracebackOf", () => {
  test("tells the error, its frames and its causes, on every runtime", () => {
    const root = new TypeError("root cause");
    const text = tracebackOf(new PaymentError("declined", { cause: new Error("middle", { cause: root }) }));
    expect(text).toMatch(/declined[^]*\n[^]*Caused by: [^]*middle[^]*\nCaused by: [^]*root cause/);
    expect(text).toContain("exception.test.ts");
  });

  test("ends where causes run in a circle, and at a length", () => {
    const error = new Error("round");
    error.cause = error;
    expect(tracebackOf(error)).not.toContain("Caused by");
    const long = new Error("x".repeat(100_000));
    expect(tracebackOf(long).length).toBeLessThanOrEqual(32_768);
  });

  test.each<[unknown, string]>([["text", "text"], [7, "7"], [{ a: 1 }, "{'a': 1}"], [null, ""], [
    undefined,
    "",
  ]])("of %o is %j", (thrown, text) => {
    expect(tracebackOf(thrown)).toBe(text);
  });
});

describe("decodeException", () => {
  test.each<[unknown, string, readonly unknown[], string]>([
    [{ exc_type: "KeyError", exc_message: ["missing", 1], exc_module: "builtins" }, "KeyError", [
      "missing",
      1,
    ], "builtins"],
    [{ exc_type: "KeyError", exc_message: "missing" }, "KeyError", ["missing"], ""],
    [{ exc_type: "system", exc_message: ["ls"], exc_module: "os" }, "system", ["ls"], "os"],
    [{ exc_type: "E" }, "E", [], ""],
    [{ exc_type: 5, exc_message: null, exc_module: [] }, "Exception", [], ""],
    [{ message: "foreign" }, "Exception", [], ""],
    [JSON.parse('{"__proto__": {"exc_type": "E"}}'), "Exception", [], ""],
    ["just text", "Exception", ["just text"], ""],
    [["a", 1], "Exception", [["a", 1]], ""],
    [7, "Exception", [7], ""],
    [null, "Exception", [], ""],
    [undefined, "Exception", [], ""],
  ])("%j", (result, excType, excMessage, excModule) => {
    expect(decodeException(result)).toEqual({ excType, excMessage, excModule });
  });
});
