import { describe, expect, test } from "vitest";
import type { Slot } from "../../src/pool.ts";
import { LoopPool } from "../../src/worker/pool.ts";

/** Takes a slot that must be free. */
function take(pool: LoopPool): Slot {
  const slot = pool.acquire();
  if (slot instanceof Promise) throw new Error("no slot is free");
  return slot;
}

describe("the loop pool", () => {
  test("gives a free slot without a promise", () => {
    const pool = new LoopPool(2, 77);
    expect(take(pool).pid).toBe(77);
    expect(pool.busy).toBe(1);
  });

  test("makes the next one wait until a slot is freed, and keeps the order", async () => {
    const pool = new LoopPool(1, 0);
    const first = take(pool);
    const order: string[] = [];
    const second = Promise.resolve(pool.acquire()).then((slot) => (order.push("second"), slot));
    const third = Promise.resolve(pool.acquire()).then((slot) => (order.push("third"), slot));
    expect(pool.busy).toBe(1);
    first[Symbol.dispose]();
    (await second)[Symbol.dispose]();
    (await third)[Symbol.dispose]();
    expect(order).toEqual(["second", "third"]);
    expect(pool.busy).toBe(0);
  });

  test("does not let a newcomer pass those who wait", async () => {
    const pool = new LoopPool(1, 0);
    const first = take(pool);
    const waiting = pool.acquire();
    pool.resize(1);
    expect(pool.acquire()).toBeInstanceOf(Promise);
    first[Symbol.dispose]();
    expect((await waiting).pid).toBe(0);
  });

  test("frees a slot once, however often it is disposed", () => {
    const pool = new LoopPool(2, 0);
    take(pool);
    const slot = take(pool);
    slot[Symbol.dispose]();
    slot[Symbol.dispose]();
    expect(pool.busy).toBe(1);
  });

  test("rejects a wait with the signal's reason, and gives its turn to the next", async () => {
    const pool = new LoopPool(1, 0);
    const first = take(pool);
    const gaveUp = new AbortController();
    const aborted = pool.acquire(gaveUp.signal);
    const next = pool.acquire();
    gaveUp.abort(new Error("enough"));
    await expect(aborted).rejects.toThrow("enough");
    await expect(pool.acquire(gaveUp.signal)).rejects.toThrow("enough");
    first[Symbol.dispose]();
    (await next)[Symbol.dispose]();
    expect(pool.busy).toBe(0);
  });

  test("serves those who wait when it grows, and leaves running tasks alone when it shrinks", async () => {
    const pool = new LoopPool(1, 0);
    take(pool);
    const waiting = pool.acquire();
    pool.resize(2);
    const second = await waiting;
    pool.resize(1);
    expect([pool.busy, pool.size]).toEqual([2, 1]);
    const third = pool.acquire();
    second[Symbol.dispose]();
    expect(pool.busy).toBe(1);
    pool.resize(2);
    await third;
    expect(pool.busy).toBe(2);
  });
});
