/**
 * The memory backend beyond the contract: its time and its memory.
 *
 * @module
 */
import { expect, test } from "vitest";
import { memoryBackend } from "../../adapters/memory/mod.ts";
import { Shelf } from "../../adapters/memory/shelf.ts";
import { ManualClock, manualPlatform } from "./platform.ts";

const record = (taskId: string) => ({ taskId, status: "SUCCESS", text: "{}" });

test("making a backend and storing in it starts no timer", async () => {
  const platform = manualPlatform();
  const backend = memoryBackend({ platform });
  await backend.store(record("a"), { ttl: 1000 });
  expect(platform.clock.calls).toBe(0);
});

test("results and facts go by the platform's time", async () => {
  const platform = manualPlatform();
  const backend = memoryBackend({ platform });
  await backend.store(record("a"), { ttl: 1000 });
  await backend.facts?.bump("n", { ttl: 1000 });
  await platform.clock.advance(500);
  await backend.facts?.bump("n", { ttl: 1000 });
  await platform.clock.advance(499);
  expect(await backend.load(["a"])).toEqual([record("a")]);
  expect(await backend.facts?.get("n")).toBe("2");
  await platform.clock.advance(1);
  expect(await backend.load(["a"])).toEqual([undefined]);
  expect(await backend.facts?.get("n")).toBeUndefined();
});

test("a watch ends at its deadline by the platform's time", async () => {
  const platform = manualPlatform();
  const watch = memoryBackend({ platform }).watch(["a"], { deadline: platform.clock.now() + 100 });
  const next = expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: "backend-timeout",
  });
  await platform.clock.advance(100);
  await next;
});

test("a reader cannot change what is stored", async () => {
  const backend = memoryBackend();
  const mine = { ...record("a") };
  await backend.store(mine, { ttl: undefined });
  mine.text = "changed";
  const [loaded] = await backend.load(["a"]);
  (loaded as { text: string }).text = "changed";
  expect((await backend.load(["a"]))[0]?.text).toBe("{}");
});

test("what is over takes no memory, though nobody asks for it", async () => {
  const clock = new ManualClock();
  const shelf = new Shelf<number>(clock);
  let largest = 0;
  for (let n = 0; n < 5000; n++) {
    shelf.put(`k${n}`, n, 100);
    if (n % 10 === 0) await clock.advance(1);
    largest = Math.max(largest, shelf.size);
  }
  expect(largest).toBeLessThan(1100);
  await clock.advance(1000);
  shelf.put("last", 1, 100);
  expect(shelf.size).toBe(1);
});

test("writing one key over and over takes no memory either", () => {
  const shelf = new Shelf<number>(new ManualClock());
  for (let n = 0; n < 100_000; n++) shelf.put("k", n, 1000);
  expect(shelf.marks).toBeLessThan(2000);
  expect(shelf.get("k")).toBe(99_999);
});
