/**
 * Contract: who gets a message, in what order, and how many at a time.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Delivery } from "../../../src/broker.ts";
import { until } from "../../support/wait.ts";
import { attempt, Bench, type BrokerSubject, textOf } from "../bench.ts";

const texts = (deliveries: readonly Delivery[]): string[] =>
  deliveries.map((delivery) => textOf(delivery.message));

export function exerciseConsume(subject: BrokerSubject): void {
  const { features } = subject;

  test("a waiting message comes first come, first served, and is new", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3"]);
    const { inbox } = bench.consume(broker, [queue]);
    const deliveries = await inbox.take(3);
    expect(texts(deliveries)).toEqual(["1", "2", "3"]);
    expect(deliveries.map((delivery) => delivery.redelivered)).toEqual([false, false, false]);
    expect(deliveries.map((delivery) => delivery.queue)).toEqual([queue, queue, queue]);
    expect(deliveries[0]?.route).toEqual({ exchange: "", routingKey: queue, priority: 0 });
    for (const delivery of deliveries) await delivery.settle({ as: "ack" });
  });

  test("a message published while a consumer waits comes to it", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const { inbox } = bench.consume(broker, [queue]);
    const next = inbox.ask();
    await bench.publish(broker, queue, ["later"]);
    await next;
    const delivery = await inbox.next();
    expect(textOf(delivery.message)).toBe("later");
    await delivery.settle({ as: "ack" });
  });

  test("competing consumers share the messages, each of which goes to one", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    const got: string[] = [];
    const shares = [0, 0];
    const consumers = [broker, other].map((one) => one.consume([queue], { prefetch: 1 }));
    const reading = consumers.map(async (consumer, index) => {
      for await (const delivery of consumer) {
        got.push(textOf(delivery.message));
        shares[index] = (shares[index] ?? 0) + 1;
        // The first delivery is held until the other consumer has one as well.
        if (shares[index] === 1) {
          await until(() => shares.every((share) => share > 0), { what: "a share for both" });
        }
        await delivery.settle({ as: "ack" });
      }
    });
    const sent = Array.from({ length: 60 }, (_, index) => String(index));
    await bench.publish(broker, queue, sent);
    await until(() => got.length >= sent.length, { what: "all messages", deadline: bench.patience });
    for (const consumer of consumers) await consumer.stop();
    await Promise.all(reading);
    expect(got.map(Number).sort((a, b) => a - b)).toEqual(sent.map(Number));
  });

  test("no more than prefetch deliveries are out, and each settlement lets one more come", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3", "4", "5"]);
    const { inbox } = bench.consume(broker, [queue], 2);
    const held = await inbox.take(2);
    await bench.counts(broker, queue, 3);
    expect(await inbox.quiet()).toBe(true);
    await held[0]?.settle({ as: "ack" });
    const third = await inbox.next();
    expect(textOf(third.message)).toBe("3");
    await bench.counts(broker, queue, 2);
    expect(await inbox.quiet()).toBe(true);
  });

  test("prefetch counts per queue", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queues = [await bench.queue(broker), await bench.queue(broker)];
    for (const queue of queues) await bench.publish(broker, queue, ["a", "b", "c"]);
    const { inbox } = bench.consume(broker, queues, 2);
    const deliveries = await inbox.take(4);
    for (const queue of queues) {
      expect(deliveries.filter((delivery) => delivery.queue === queue)).toHaveLength(2);
      await bench.counts(broker, queue, 1);
    }
    expect(await inbox.quiet()).toBe(true);
  });

  test("prefetch 0 is no bound", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const sent = Array.from({ length: 300 }, (_, index) => String(index));
    await bench.publish(broker, queue, sent);
    const { inbox } = bench.consume(broker, [queue], 0);
    expect(texts(await inbox.take(300))).toEqual(sent);
  });

  test("a larger prefetch lets more come at once", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3", "4", "5"]);
    const { consumer, inbox } = bench.consume(broker, [queue], 1);
    const first = await inbox.next();
    await consumer.setPrefetch(3);
    await inbox.take(2);
    expect(await first.settle({ as: "ack" })).toBe("settled");
    await inbox.next();
  });

  test("a smaller prefetch holds once the old window is settled", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    const { consumer, inbox } = bench.consume(broker, [queue], 3);
    const held = await inbox.take(3);
    await consumer.setPrefetch(1);
    for (const delivery of held) await delivery.settle({ as: "ack" });
    let next = await inbox.next();
    for (let left = 4; left >= 1; left--) {
      await bench.counts(broker, queue, left);
      expect(await inbox.quiet(20)).toBe(true);
      await next.settle({ as: "ack" });
      next = await inbox.next();
    }
    await next.settle({ as: "ack" });
  });

  test("a queue that is added is consumed from then on", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const [first, second] = [await bench.queue(broker), await bench.queue(broker)];
    await bench.publish(broker, second, ["waiting"]);
    const { consumer, inbox } = bench.consume(broker, [first]);
    await bench.publish(broker, first, ["mine"]);
    const mine = await inbox.next();
    expect(mine.queue).toBe(first);
    await consumer.add(second);
    const added = await inbox.next();
    expect([added.queue, textOf(added.message)]).toEqual([second, "waiting"]);
    await mine.settle({ as: "ack" });
    await added.settle({ as: "ack" });
  });

  test("adding a queue that is consumed already gives its messages once", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const { consumer, inbox } = bench.consume(broker, [queue], 1);
    await consumer.add(queue);
    await bench.publish(broker, queue, ["1", "2"]);
    const delivery = await inbox.next();
    await bench.counts(broker, queue, 1);
    expect(await inbox.quiet()).toBe(true);
    await delivery.settle({ as: "ack" });
    await (await inbox.next()).settle({ as: "ack" });
  });

  test("a queue that is removed is left alone, what came of it can still be settled", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const [kept, removed] = [await bench.queue(broker), await bench.queue(broker)];
    const { consumer, inbox } = bench.consume(broker, [kept, removed]);
    await bench.publish(broker, removed, ["before"]);
    const before = await inbox.next();
    await consumer.remove(removed);
    await bench.publish(broker, removed, ["after"]);
    await bench.counts(broker, removed, 1);
    await bench.publish(broker, kept, ["mine"]);
    const mine = await inbox.next();
    expect(textOf(mine.message)).toBe("mine");
    expect(await before.settle({ as: "ack" })).toBe("settled");
    await mine.settle({ as: "ack" });
    await consumer.stop();
    expect(await broker.count(removed)).toBe(1);
  });

  test("a removed queue gets back what was not yet read", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const consumer = broker.consume([queue], { prefetch: 5 });
    await bench.publish(broker, queue, ["1", "2"]);
    await until(() => consumer.aliveAt > 0, { what: "a first sign of life" });
    await consumer.remove(queue);
    await bench.counts(broker, queue, 2);
  });

  test("after stop nothing more is yielded, and what was not read is back in its queue", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3", "4"]);
    const { consumer, inbox } = bench.consume(broker, [queue], 4);
    const first = await inbox.next();
    await consumer.stop();
    await inbox.ended();
    await bench.counts(broker, queue, 3);
    expect(await first.settle({ as: "ack" })).toBe("settled");
    const { inbox: again } = bench.consume(broker, [queue], 4);
    const rest = await again.take(3);
    expect(texts(rest).sort()).toEqual(["2", "3", "4"]);
    for (const delivery of rest) await delivery.settle({ as: "ack" });
  });

  test("stop ends a waiting iteration, and stopping again does nothing", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const { consumer, inbox } = bench.consume(broker, [queue]);
    const waiting = inbox.ask();
    await consumer.stop();
    expect((await waiting).done).toBe(true);
    await consumer.stop();
    await inbox.ended();
  });

  test("leaving the loop keeps the consumer, the next loop goes on where it ended", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3"]);
    const consumer = broker.consume([queue], { prefetch: 5 });
    const got: string[] = [];
    for (let round = 0; round < 3; round++) {
      for await (const delivery of consumer) {
        got.push(textOf(delivery.message));
        await delivery.settle({ as: "ack" });
        break;
      }
    }
    expect(got).toEqual(["1", "2", "3"]);
    await consumer.stop();
  });

  test("aliveAt is 0 before the first consume and a recent instant after a delivery", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const { consumer, inbox } = bench.consume(broker, [queue]);
    expect(consumer.aliveAt).toBe(0);
    const before = Date.now();
    await bench.publish(broker, queue, ["1"]);
    await (await inbox.next()).settle({ as: "ack" });
    expect(consumer.aliveAt).toBeGreaterThanOrEqual(before);
    expect(consumer.aliveAt).toBeLessThanOrEqual(Date.now());
  });

  if (features.priority !== "none") {
    test("among waiting messages priority goes first, then age", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const highFirst = features.priority === "high-first";
      const queue = await bench.queue(broker, highFirst ? { "x-max-priority": 9 } : {});
      const sent: [string, number][] = [["a0", 0], ["b9", 9], ["c3", 3], ["d9", 9], ["e0", 0], ["f3", 3]];
      await broker.publish(sent.map(([text, priority]) => bench.outgoing(queue, text, { priority })));
      const { inbox } = bench.consume(broker, [queue], 0);
      const got = texts(await inbox.take(6));
      const high = ["b9", "d9", "c3", "f3", "a0", "e0"];
      expect(got).toEqual(highFirst ? high : ["a0", "e0", "c3", "f3", "b9", "d9"]);
    });
  }

  test("a queue that does not exist and was not declared ends the iteration with a coded error", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const { inbox } = bench.consume(broker, [bench.name("queue")]);
    // A broker without queue objects (Redis) simply waits: there is nothing that could be missing.
    if (features.delivery === "poll") expect(await inbox.quiet()).toBe(true);
    else {await expect(attempt(() => inbox.next())).rejects.toMatchObject({
        code: expect.stringMatching(/^[a-z-]+$/),
      });}
  });
}
