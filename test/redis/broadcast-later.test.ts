/** Broadcasts that are to come again later wait in memory, no more of them than may wait for room. */
import { expect, test } from "vitest";
import { BroadcastConsumer } from "../../adapters/redis/broadcast.ts";
import { memoryBroker } from "../../adapters/memory/mod.ts";
import { ManualClock } from "../memory/platform.ts";

const MOST = 10_000;

const TEXT = JSON.stringify({
  body: "",
  "content-encoding": "utf-8",
  "content-type": "application/json",
  headers: {},
  properties: {
    delivery_info: { exchange: "all", routing_key: "" },
    delivery_tag: "tag",
    body_encoding: "base64",
  },
});

test("are dropped beyond that, which is told once", async () => {
  const broker = memoryBroker();
  const clock = new ManualClock();
  const warned: string[] = [];
  let hear: (text: string) => void = () => {};
  const consumer = new BroadcastConsumer(["all"], 1, {
    leased: broker.consume([], { prefetch: 1 }),
    clock,
    listen: (_queue, take) => {
      hear = take;
      return [];
    },
    left: () => {},
    warn: (reason) => void warned.push(reason),
  });
  const deliveries = consumer[Symbol.asyncIterator]();
  for (let at = 0; at < MOST; at++) {
    hear(TEXT);
    const { value } = await deliveries.next();
    await value.settle({ as: "park", until: clock.now() + 60_000 });
  }
  for (let at = 0; at < 3; at++) hear(TEXT);
  expect(clock.waiting.length).toBe(MOST);
  expect(warned).toEqual([`more than ${MOST} broadcasts wait in all: the next ones are dropped`]);
  await consumer.stop();
  expect(warned.slice(1)).toEqual([`${MOST} broadcasts of all dropped with its consumer`]);
  expect(clock.waiting.length).toBe(0);
  await broker.close();
}, 60_000);
