import { expect, test } from "vitest";
import { picksOf, Prng } from "../../../src/testing/simulator/prng.ts";

test("the same seed and stream give the same words on every runtime", () => {
  const prng = new Prng(42, "client");
  // Seen on Node 20.
  expect([prng.word(), prng.word(), prng.word()]).toEqual([3178016600, 4017047415, 1860987703]);
  expect(new Prng(42, "client").uuid()).toBe(new Prng(42, "client").uuid());
});

test("near seeds and near names have nothing in common", () => {
  const first = [
    ...[0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1].map((seed) => new Prng(seed)),
    ...["a", "b", "ab", "worker-1", "worker-2", "é"].map((name) => new Prng(1, name)),
  ].map((prng) => prng.word());
  expect(new Set(first).size).toBe(first.length);
});

test("numbers lie in [0, 1) and are spread evenly", () => {
  const prng = new Prng(7);
  const buckets = new Array<number>(10).fill(0);
  for (let at = 0; at < 20_000; at++) {
    const value = prng.next();
    if (value < 0 || value >= 1) throw new RangeError(`${value}`);
    buckets[Math.floor(value * 10)] = (buckets[Math.floor(value * 10)] ?? 0) + 1;
  }
  // 42.4 standard deviations of each bucket are 180: five of them.
  for (const count of buckets) expect(Math.abs(count - 2000)).toBeLessThan(212);
});

test("ids are UUIDs of version 4, and none comes twice", () => {
  const prng = new Prng(3);
  const ids = new Set(Array.from({ length: 5000 }, () => prng.uuid()));
  expect(ids.size).toBe(5000);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

test("picks of a seed go on without end, and half of them take the oldest", () => {
  const picks: number[] = [];
  for (const pick of picksOf(1)) if (picks.push(pick) === 1000) break;
  const zeros = picks.filter((pick) => pick === 0).length;
  expect(zeros).toBeGreaterThan(420);
  expect(zeros).toBeLessThan(580);
});
