import { describe, expect, test } from "vitest";
import { didYouMean, nearest } from "../../src/lib/suggest.ts";

const NAMES = ["queue", "exchange", "routingKey", "countdown", "task_default_queue", "priority"];

describe("nearest", () => {
  test.each([
    ["quue", "queue"],
    ["queu", "queue"],
    ["quene", "queue"],
    ["uqeue", "queue"],
    ["routing_key", "routingKey"],
    ["ROUTINGKEY", "routingKey"],
    ["taskDefaultQueue", "task_default_queue"],
    ["count_down", "countdown"],
    ["prio", undefined],
    ["banana", undefined],
    ["", undefined],
  ])("to %s is %s", (met, wanted) => {
    expect(nearest(met, NAMES)).toBe(wanted);
  });

  test("is the first of those that are equally near", () => {
    expect(nearest("cat", ["car", "cap"])).toBe("car");
  });

  test("bounds its work on a hostile name", () => {
    expect(nearest("x".repeat(1_000_000), NAMES)).toBeUndefined();
  });
});

test("didYouMean is a sentence, or nothing", () => {
  expect(didYouMean("quue", NAMES)).toBe('Did you mean "queue"?');
  expect(didYouMean("banana", NAMES)).toBeUndefined();
});
