import { describe, expect, test } from "vitest";
import {
  instant,
  jsonArray,
  jsonObject,
  level,
  list,
  seconds,
  secondsOrInstant,
  whole,
} from "../../src/cli/options.ts";

describe("option values", () => {
  test("are read", () => {
    expect(jsonArray('[1, "a"]')).toEqual([1, "a"]);
    expect(jsonArray("[12345678901234567890]")).toEqual([12345678901234567890n]);
    expect(jsonObject('{"a": 1}')).toEqual({ a: 1 });
    expect(list("a, b,,c")).toEqual(["a", "b", "c"]);
    expect(list("d", ["a"])).toEqual(["a", "d"]);
    expect(level("InFo")).toBe("info");
    expect(whole(1)("4")).toBe(4);
    expect(seconds("1.5")).toBe(1.5);
    expect(instant("2026-11-22T06:00:00+01:00")).toBe("2026-11-22T06:00:00+01:00");
    expect(secondsOrInstant("30")).toBe(30);
    expect(secondsOrInstant("2026-11-22T06:00:00")).toEqual(new Date("2026-11-22T06:00:00Z"));
  });

  test.each([
    ["args that are no array", () => jsonArray("{}")],
    ["args that are no JSON", () => jsonArray("[1,")],
    ["kwargs that are null", () => jsonObject("null")],
    ["kwargs that are an array", () => jsonObject("[]")],
    ["an unknown level", () => level("loud")],
    ["no slot at all", () => whole(1)("0")],
    ["a part of a slot", () => whole(1)("1.5")],
    ["hexadecimal", () => whole(0)("0x10")],
    ["no seconds", () => seconds("")],
    ["words for seconds", () => seconds("soon")],
    ["words for a time", () => instant("tomorrow")],
    ["a thirteenth month", () => secondsOrInstant("2026-13-01")],
  ])("refuse %s", (_what, read) => {
    expect(read).toThrow(expect.objectContaining({ code: "commander.invalidArgument" }));
  });
});
