import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AsyncQueue, Fifo } from "../../src/lib/queue.ts";

describe("Fifo", () => {
  test("behaves as an array with push, shift and filter", () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant("push" as const), value: fc.nat(20) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("shift" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("take" as const), value: fc.nat(3) }) },
      {
        weight: 1,
        arbitrary: fc.record({
          do: fc.constant("putBack" as const),
          values: fc.array(fc.nat(20), { maxLength: 4 }),
        }),
      },
    );
    fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      for (const each of steps) {
        if (each.do === "push") {
          fifo.push(each.value);
          model.push(each.value);
        } else if (each.do === "shift") {
          expect(fifo.shift()).toBe(model.shift());
        } else if (each.do === "take") {
          const wanted = (item: number): boolean => item % 4 === each.value;
          expect(fifo.take(wanted)).toEqual(model.filter(wanted));
          model = model.filter((item) => !wanted(item));
        } else {
          fifo.putBack(each.values);
          model.unshift(...each.values);
        }
        expect(fifo.size).toBe(model.length);
      }
    }));
  });

  test("keeps its order over thousands of items", () => {
    const fifo = new Fifo<number>();
    const got: (number | undefined)[] = [];
    for (let i = 0; i < 10_000; i++) {
      fifo.push(i);
      if (i % 3 !== 0) got.push(fifo.shift());
    }
    while (fifo.size > 0) got.push(fifo.shift());
    expect(got).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
  });
});

describe("AsyncQueue", () => {
  test("gives what was pushed before and after it was asked for", async () => {
    const queue = new AsyncQueue<number>();
    const iterator = queue[Symbol.asyncIterator]();
    queue.push(1);
    expect(await iterator.next()).toEqual({ value: 1, done: false });
    const waiting = iterator.next();
    queue.push(2);
    expect(await waiting).toEqual({ value: 2, done: false });
  });

  test("ends once what waits is taken", async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    queue.end();
    queue.push(2);
    const got: number[] = [];
    for await (const item of queue) got.push(item);
    expect(got).toEqual([1]);
    expect(queue.ended).toBe(true);
  });

  test("wakes everybody who waits when it ends", async () => {
    const queue = new AsyncQueue<number>();
    const iterator = queue[Symbol.asyncIterator]();
    const waiting = [iterator.next(), iterator.next()];
    queue.end();
    expect((await Promise.all(waiting)).map(({ done }) => done)).toEqual([true, true]);
  });

  test("throws its error once, after what waits", async () => {
    const queue = new AsyncQueue<number>();
    const iterator = queue[Symbol.asyncIterator]();
    queue.push(1);
    queue.fail(new Error("gone"));
    expect((await iterator.next()).value).toBe(1);
    await expect(iterator.next()).rejects.toThrow("gone");
    expect((await iterator.next()).done).toBe(true);
  });

  test("throws its error at who waits", async () => {
    const queue = new AsyncQueue<number>();
    const waiting = queue[Symbol.asyncIterator]().next();
    queue.fail(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    expect((await queue[Symbol.asyncIterator]().next()).done).toBe(true);
  });

  test("lets items be taken out of the middle", async () => {
    const queue = new AsyncQueue<number>();
    for (const item of [1, 2, 3, 4]) queue.push(item);
    expect(queue.take((item) => item % 2 === 0)).toEqual([2, 4]);
    expect(queue.size).toBe(2);
    queue.end();
    const got: number[] = [];
    for await (const item of queue) got.push(item);
    expect(got).toEqual([1, 3]);
  });

  test("keeps the rest for the next loop when one is left early", async () => {
    const queue = new AsyncQueue<number>();
    for (const item of [1, 2, 3]) queue.push(item);
    for await (const item of queue) {
      expect(item).toBe(1);
      break;
    }
    for await (const item of queue) {
      expect(item).toBe(2);
      break;
    }
    expect(queue.size).toBe(1);
  });
});
