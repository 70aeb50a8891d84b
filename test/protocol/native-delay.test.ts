import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { delayKey, delayPattern, kombuPattern, topicMatches } from "../../src/protocol/native-delay.ts";

/** What kombu's `calculate_routing_key` gives for whole seconds. */
function kombuKey(seconds: number, key: string): string {
  return [...seconds.toString(2).padStart(28, "0"), key].join(".");
}

describe("the key of a delayed message", () => {
  test("is kombu's: 28 binary digits of whole seconds, rounded down, then the key", () => {
    expect(delayKey(1000, "q")).toBe("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.q");
    fc.assert(fc.property(fc.integer({ min: 1000, max: 1000 * 2 ** 28 - 1 }), (ms) => {
      expect(delayKey(ms, "a.b")).toBe(kombuKey(Math.floor(ms / 1000), "a.b"));
    }));
  });

  test.each([
    ["less than a second", 999.9, "q"],
    ["the past", -5000, "q"],
    ["no number", NaN, "q"],
    ["for ever", Infinity, "q"],
    ["29 digits", 1000 * 2 ** 28, "q"],
    ["no key", 5000, ""],
    ["a key of more than 255 bytes", 5000, "é".repeat(100)],
  ])("is none for %s", (_what, ms, key) => {
    expect(delayKey(ms, key)).toBeUndefined();
  });
});

describe("the pattern of a queue", () => {
  test("leads to it what waited for it, and nothing else, where kombu's leads to b what is for a.b", () => {
    const word = fc.constantFrom("a", "b", "0", "1");
    const key = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join("."));
    fc.assert(fc.property(key, key, fc.integer({ min: 1, max: 2 ** 28 - 1 }), (own, other, seconds) => {
      const arrived = delayKey(1000 * seconds, other) ?? "";
      expect(topicMatches(delayPattern(own) ?? "", arrived)).toBe(own === other);
      expect(topicMatches(kombuPattern(own), arrived)).toBe(arrived.endsWith(`.${own}`));
    }));
    expect(topicMatches(kombuPattern("b"), delayKey(1000, "a.b") ?? "")).toBe(true);
    expect(kombuPattern("#.b")).toBe("#.b");
  });

  test("keeps the wildcards of the queue's key", () => {
    const pattern = delayPattern("orders.*.#") ?? "";
    expect(topicMatches(pattern, delayKey(7000, "orders.new") ?? "")).toBe(true);
    expect(topicMatches(pattern, delayKey(7000, "orders.new.eu.now") ?? "")).toBe(true);
    expect(topicMatches(pattern, delayKey(7000, "orders") ?? "")).toBe(false);
  });

  test("is none for a key that no delayed message has", () => {
    expect(delayPattern("")).toBeUndefined();
    expect(delayPattern("x".repeat(200))).toBeUndefined();
  });
});

test("topics match as AMQP has it: * is one word, # any number", () => {
  const matching = ["#", "a.#", "a.#.b.c", "*.*.c", "#.c", "a.b.c.#", "#.#", "a.*.#"];
  expect(matching.filter((pattern) => !topicMatches(pattern, "a.b.c"))).toEqual([]);
  const others = ["", "*", "a", "a.b", "*.*", "a.b.c.*", "b.#", "#.b", "A.b.c"];
  expect(others.filter((pattern) => topicMatches(pattern, "a.b.c"))).toEqual([]);
});
