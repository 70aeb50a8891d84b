/**
 * Cuts while deliveries are held, while settlements wait, and while the link comes back.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Delivery } from "../../src/broker.ts";
import { textOf } from "../../src/testing/contract/letter.ts";
import { until } from "../support/wait.ts";
import { consuming, events, kinds, lost, Rig, take, task, times } from "./rig.ts";

const ACK = "60.80";
const NACK = "60.120";

describe("A16: a cut", () => {
  test("while a delivery is held makes it stale, sends nothing for it, and brings it again once", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    await rig.fill(queue, ["held"]);
    const consumer = rig.broker().consume([queue], { prefetch: 5 });
    const [held] = await take(consumer, 1);
    rig.proxy.cut();
    const [again] = await take(consumer, 1);
    const frames = rig.record();
    expect(await held?.settle({ as: "ack" })).toBe("stale");
    expect(again?.redelivered).toBe(true);
    expect(await again?.settle({ as: "ack" })).toBe("settled");
    await consumer.stop();
    expect(frames.filter(({ method }) => method === ACK || method === NACK)).toHaveLength(1);
    expect(await rig.count(queue)).toBe(0);
  });

  test("while settlements wait runs each message once or twice, never less, and only those cut off twice", async () => {
    await using rig = await Rig.start();
    for (let round = 0; round < 20; round++) {
      const queue = await rig.queue();
      await rig.fill(queue, times(20, String));
      const consumer = rig.broker().consume([queue], { prefetch: 20 });
      const deliveries = await take(consumer, 20);
      for (const delivery of deliveries.slice(0, 10)) void delivery.settle({ as: "ack" });
      if (round % 2 === 0) {
        // Cut in the very chunk that carries the acks.
        rig.proxy.onChunk = (direction) => {
          if (direction === "up") rig.proxy.cut();
        };
      } else rig.proxy.cut();
      await until(() => lost(deliveries[15] as Delivery), { what: "the loss" });
      rig.proxy.onChunk = undefined;
      // Not one ack arrived: all twenty come again.
      const again = await take(consumer, 20);
      expect(again.map(({ message }) => textOf(message))).toEqual(times(20, String));
      expect(again.every(({ redelivered }) => redelivered)).toBe(true);
      for (const delivery of deliveries.slice(10)) expect(await delivery.settle({ as: "ack" })).toBe("stale");
      for (const delivery of again) void delivery.settle({ as: "ack" });
      await consumer.stop();
      expect(await rig.count(queue)).toBe(0);
    }
  });

  test("at any chunk of reconnecting is overcome", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const broker = rig.broker();
    const entity = rig.entity({ exclusive: true, durable: false, arguments: {} });
    await broker.declare([entity]);
    const consumer = broker.consume([queue, entity.name], { prefetch: 5 });
    await consuming(consumer);
    const cutsAt: number[] = [];
    for (let step = 1; step <= 20; step++) {
      let chunks = 0;
      let cuts = 0;
      // Three times in a row at the same step, then it may pass; beyond the last step of reconnecting nothing is cut.
      rig.proxy.onChunk = () => {
        if (cuts === 3 || ++chunks !== step) return;
        cuts++;
        chunks = 0;
        rig.proxy.cut();
      };
      rig.proxy.cut();
      await rig.fill(queue, [`${step}`]);
      for await (const delivery of consumer) {
        // The ack of one before may have been cut off: it comes again.
        await delivery.settle({ as: "ack" });
        if (textOf(delivery.message) === `${step}`) break;
      }
      rig.proxy.onChunk = undefined;
      cutsAt.push(cuts);
    }
    console.log(`cuts per step of reconnecting: ${cutsAt.join(" ")}`);
    // Greeting, start, start-ok, tune, tune-ok and open, open-ok, channel, channel-ok, declare, declare-ok, consume.
    expect(cutsAt.slice(0, 10)).toEqual(times(10, () => 3));
    await until(async () => kinds(await rig.direct.publish([task(entity.name)]))[0] === "confirmed", {
      what: "the private queue",
    });
  });

  test("followed by silence while reconnecting is overcome", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const broker = rig.broker({ connectTimeout: "100ms" });
    const seen = events(broker);
    const consumer = broker.consume([queue], { prefetch: 5 });
    await consuming(consumer);
    rig.proxy.blackhole("both");
    rig.proxy.cut();
    await until(() => seen.filter((event) => event.is === "down").length >= 4, {
      what: "some failed attempts",
    });
    const alive = consumer.aliveAt;
    rig.proxy.heal();
    rig.proxy.cut();
    await rig.fill(queue, ["after"]);
    await take(consumer, 1);
    expect(consumer.aliveAt).toBeGreaterThan(alive);
    const codes = seen.flatMap((
      event,
    ) => (event.is === "down" ? [(event.error as { code?: string }).code] : []));
    expect(codes).toContain("broker-timeout");
  });
});
