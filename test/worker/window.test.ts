import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { beyondRoom, holdingRoom, prefetchWindow, widen } from "../../src/worker/window.ts";

describe("the prefetch of a queue", () => {
  test.each([
    { concurrency: 10, multiplier: 4, queues: 1, prefetch: 40 },
    { concurrency: 4, multiplier: 4, queues: 2, prefetch: 8 },
    { concurrency: 4, multiplier: 1, queues: 1, prefetch: 4 },
    { concurrency: 1, multiplier: 1, queues: 3, prefetch: 1 },
    { concurrency: 10, multiplier: 4, queues: 8, prefetch: 10 },
    { concurrency: 10, multiplier: 0, queues: 2, prefetch: 0 },
    { concurrency: 50_000, multiplier: 4, queues: 1, prefetch: 65_535 },
  ])("is $prefetch for concurrency $concurrency, multiplier $multiplier, $queues queues", (each) => {
    expect(prefetchWindow(each.concurrency, each.multiplier, each.queues)).toBe(each.prefetch);
  });
});

test.each([
  { prefetch: 40, limit: Infinity, room: 20 },
  { prefetch: 40, limit: 5, room: 5 },
  { prefetch: 5, limit: Infinity, room: 2 },
  { prefetch: 1, limit: Infinity, room: 0 },
  { prefetch: 0, limit: Infinity, room: 5000 },
])("of a window of $prefetch and a limit of $limit $room may be held", ({ prefetch, limit, room }) => {
  expect(holdingRoom(prefetch, limit)).toBe(room);
});

describe("the prefetch while messages are held", () => {
  test("has room for each held message up to the limit, and is as before when none is held", () => {
    const classes = { grown: 0, shrunk: 0, capped: 0 };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 2000 }),
        fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 30 }),
        (base, limit, counts) => {
          let width = 0;
          for (const held of counts) {
            const next = widen(base, width, held, limit);
            expect(next).toBeGreaterThanOrEqual(Math.min(held, limit));
            expect(next).toBeLessThanOrEqual(limit);
            if (next > width) classes.grown++;
            if (next < width) classes.shrunk++;
            if (next === limit) classes.capped++;
            width = next;
          }
          expect(widen(base, width, 0, limit)).toBe(0);
        },
      ),
    );
    console.log("held widths:", classes);
    expect(Math.min(...Object.values(classes))).toBeGreaterThan(0);
  });

  test("changes seldom: growing to a thousand one by one takes a handful of steps", () => {
    let width = 0;
    let changes = 0;
    for (let held = 1; held <= 1000; held++) {
      const next = widen(10, width, held, 10_000);
      if (next !== width) changes++;
      width = next;
    }
    expect(changes).toBeLessThan(12);
  });

  test("stays unlimited", () => {
    expect(widen(0, 0, 500, 10_000)).toBe(0);
  });
});

describe("what waits beyond the room of its window", () => {
  test.each([
    { queues: [], room: 4, beyond: 0 },
    { queues: [{ held: 4, parking: 0 }], room: 4, beyond: 0 },
    { queues: [{ held: 4, parking: 3 }, { held: 0, parking: 6 }], room: 4, beyond: 3 },
    { queues: [{ held: 0, parking: 100_000 }], room: 4, beyond: 508 },
    { queues: [{ held: 700, parking: 0 }], room: 0, beyond: 700 },
  ])("is $beyond for $queues and room $room", ({ beyond, queues, room }) => {
    expect(beyondRoom(queues, room)).toBe(beyond);
  });
});
