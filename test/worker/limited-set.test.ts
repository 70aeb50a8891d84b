import fc from "fast-check";
import { expect, test } from "vitest";
import { LimitedSet } from "../../src/worker/limited-set.ts";

const BOUNDS = { most: 4, ttl: 10 };

test("holds what was added, until its time is over or too many came after it", () => {
  const steps = fc.array(fc.record({ wait: fc.nat(4), item: fc.constantFrom(..."abcdefg") }), {
    maxLength: 40,
  });
  fc.assert(fc.property(steps, (all) => {
    const set = new LimitedSet(BOUNDS);
    /** Items with their instants, oldest first. */
    let model: [item: string, added: number][] = [];
    let now = 0;
    for (const { wait, item } of all) {
      now += wait;
      set.add(item, now);
      model = [...model.filter(([other]) => other !== item), [item, now] as [string, number]]
        .filter(([, added]) => now - added < BOUNDS.ttl).slice(-BOUNDS.most);
      expect([...set]).toEqual(model.map(([each]) => each));
      expect(set.size).toBe(model.length);
      for (const later of [now, now + 5, now + BOUNDS.ttl]) {
        for (const each of "abcdefg") {
          const lives = model.some(([known, added]) => known === each && later - added < BOUNDS.ttl);
          expect(set.has(each, later)).toBe(lives);
        }
      }
    }
  }));
});

test("a million additions keep it as small as Celery's", () => {
  const set = new LimitedSet({ most: 50_000, ttl: Infinity });
  for (let at = 0; at < 1_000_000; at++) set.add(`id-${at}`, at);
  expect(set.size).toBe(50_000);
  expect([set.has("id-949999", 1e6), set.has("id-950000", 1e6)]).toEqual([false, true]);
});
