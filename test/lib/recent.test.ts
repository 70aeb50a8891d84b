import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MOST_NAMES, Recent } from "../../src/lib/recent.ts";

describe("Recent", () => {
  test("is bounded; what is kept, and what is asked for again and again, is never forgotten", () => {
    const recent = new Recent<number>();
    recent.keep("own", -1);
    recent.set("asked", -2);
    for (let at = 0; at < 3 * MOST_NAMES; at++) {
      recent.set(`name ${at}`, at);
      if (at % 1000 === 0) expect(recent.get("asked")).toBe(-2);
    }
    expect(recent.values.length).toBeLessThanOrEqual(MOST_NAMES + 1);
    expect(recent.values.length).toBeGreaterThan(MOST_NAMES / 2);
    expect([recent.get("own"), recent.get("name 0"), recent.get(`name ${3 * MOST_NAMES - 1}`)]).toEqual([
      -1,
      undefined,
      3 * MOST_NAMES - 1,
    ]);
  });

  test("does not remember a name that is long", () => {
    const recent = new Recent<number>();
    recent.set("x".repeat(1001), 1);
    recent.set("x".repeat(1000), 2);
    expect(recent.values).toEqual([2]);
  });

  test("knows the latest of each name, or nothing", () => {
    const step = fc.record({ name: fc.constantFrom(..."abcdefgh"), kept: fc.boolean(), value: fc.nat() });
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const recent = new Recent<number>(4);
      const latest = new Map<string, number>();
      const kept = new Set<string>();
      for (const { name, kept: keeps, value } of steps) {
        recent[keeps ? "keep" : "set"](name, value);
        latest.set(name, value);
        if (keeps) kept.add(name);
        for (const [one, known] of latest) {
          const found = recent.get(one);
          expect(kept.has(one) ? [known] : [known, undefined]).toContain(found);
        }
        expect(recent.values.length).toBeLessThanOrEqual(kept.size + 4);
      }
    }));
  });
});
