/**
 * Contract: how a delivery ends.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { BrokerFeatures, Delivery, Entity } from "../../../src/broker.ts";
import { attempt, Bench, type BrokerSubject, textOf } from "../bench.ts";

const texts = (deliveries: readonly Delivery[]): string[] =>
  deliveries.map((delivery) => textOf(delivery.message));

/** What a next consumer sees after 0, 1 and 2 of four messages were requeued in the order 2, 0, 1. */
function afterRequeue(requeue: BrokerFeatures["requeue"]): readonly string[] {
  if (requeue === "publication") return ["0", "1", "2", "3"];
  if (requeue === "returns-first") return ["2", "0", "1", "3"];
  if (requeue === "front") return ["1", "0", "2", "3"];
  return ["3", "2", "0", "1"];
}

export function exerciseSettle(subject: BrokerSubject): void {
  const { features } = subject;

  test.each(["ack", "reject"] as const)("what was settled as %s never comes back", async (as) => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3"]);
    const { inbox } = bench.consume(broker, [queue]);
    for (const delivery of await inbox.take(3)) expect(await delivery.settle({ as })).toBe("settled");
    await broker.close();
    expect(await other.count(queue)).toBe(0);
  });

  test("stop flushes what was settled", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3", "4"]);
    const { consumer, inbox } = bench.consume(broker, [queue], 2);
    for (const delivery of await inbox.take(2)) await delivery.settle({ as: "ack" });
    await consumer.stop();
    expect(await other.count(queue)).toBe(2);
  });

  test("a second settlement throws, whatever the first one was", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2"]);
    const { inbox } = bench.consume(broker, [queue]);
    const [first, second] = await inbox.take(2);
    await first?.settle({ as: "ack" });
    await second?.settle({ as: "reject" });
    for (const delivery of [first, second]) {
      await expect(attempt(() => delivery?.settle({ as: "ack" }))).rejects.toMatchObject({
        code: expect.stringMatching(/^[a-z-]+$/),
      });
    }
  });

  test("out of order settlements reach their own messages", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["0", "1", "2", "3", "4", "5"]);
    const { inbox } = bench.consume(broker, [queue]);
    const deliveries = await inbox.take(6);
    for (const index of [4, 0, 3]) await deliveries[index]?.settle({ as: "ack" });
    await broker.close();
    await bench.counts(other, queue, 3);
    const { inbox: again } = bench.consume(other, [queue]);
    const rest = await again.take(3);
    expect(texts(rest).sort()).toEqual(["1", "2", "5"]);
    for (const delivery of rest) await delivery.settle({ as: "ack" });
  });

  test("what was not settled is back after close, and says so", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2"]);
    const { inbox } = bench.consume(broker, [queue]);
    await inbox.take(2);
    await broker.close();
    await bench.counts(other, queue, 2);
    const { inbox: again } = bench.consume(other, [queue]);
    const rest = await again.take(2);
    expect(texts(rest).sort()).toEqual(["1", "2"]);
    expect(rest.map((delivery) => delivery.redelivered)).toEqual([true, true]);
    if (features.attempts) expect(rest.map((delivery) => delivery.attempts)).toEqual([1, 1]);
    for (const delivery of rest) await delivery.settle({ as: "ack" });
  });

  test("settling after close is stale", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1"]);
    const { inbox } = bench.consume(broker, [queue]);
    const delivery = await inbox.next();
    await broker.close();
    expect(await delivery.settle({ as: "ack" })).toBe("stale");
    await bench.counts(other, queue, 1);
  });

  test("a requeued message comes again as redelivered", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["again"]);
    const { inbox } = bench.consume(broker, [queue]);
    expect(await (await inbox.next()).settle({ as: "requeue" })).toBe("settled");
    const delivery = await inbox.next();
    expect([textOf(delivery.message), delivery.redelivered]).toEqual(["again", true]);
    await delivery.settle({ as: "ack" });
  });

  test("requeued messages stand where the feature record says", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["0", "1", "2", "3"]);
    const { consumer, inbox } = bench.consume(broker, [queue], 3);
    const held = await inbox.take(3);
    await consumer.stop();
    for (const index of [2, 0, 1]) await held[index]?.settle({ as: "requeue" });
    await bench.counts(broker, queue, 4);
    const { inbox: again } = bench.consume(broker, [queue]);
    const rest = await again.take(4);
    expect(texts(rest)).toEqual(afterRequeue(features.requeue));
    for (const delivery of rest) await delivery.settle({ as: "ack" });
  });

  test("the message that comes again is the same, value for value", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["same"]);
    const { inbox } = bench.consume(broker, [queue]);
    const first = await inbox.next();
    const { headers } = first.message;
    await first.settle({ as: "requeue" });
    const second = await inbox.next();
    expect(second.message.headers).toEqual(headers);
    expect(second.message.properties["delivery_mode"]).toBe(2);
    expect(second.route).toEqual(first.route);
    await second.settle({ as: "ack" });
  });

  if (features.park === "none") {
    test("parking is refused with a coded error, and the delivery can still be settled", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["1"]);
      const { inbox } = bench.consume(broker, [queue]);
      const delivery = await inbox.next();
      await expect(attempt(() => delivery.settle({ as: "park", until: Date.now() + 1000 }))).rejects
        .toMatchObject({
          code: expect.stringMatching(/^[a-z-]+$/),
        });
      expect(await delivery.settle({ as: "ack" })).toBe("settled");
    });
    return;
  }

  for (const as of ["park", "requeue"] as const) {
    test(`a message settled as ${as} until an instant comes again then, not before, and once`, async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["later"]);
      const { inbox } = bench.consume(broker, [queue]);
      const due = Date.now() + 400;
      const first = await inbox.next();
      const how = as === "park" ? { as, until: due } as const : { as, notBefore: due } as const;
      expect(await first.settle(how)).toBe("settled");
      const second = await inbox.next();
      expect(Date.now()).toBeGreaterThanOrEqual(due - 1);
      expect([textOf(second.message), second.queue]).toEqual(["later", queue]);
      expect(second.message.headers).toMatchObject({ task: "tests.letter" });
      await second.settle({ as: "ack" });
      expect(await inbox.quiet()).toBe(true);
      expect(await broker.count(queue)).toBe(0);
    });
  }

  test("parked messages of different instants come by their instants", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["600", "300"]);
    const { inbox } = bench.consume(broker, [queue]);
    const now = Date.now();
    for (const delivery of await inbox.take(2)) {
      await delivery.settle({ as: "park", until: now + Number(textOf(delivery.message)) });
    }
    const back = await inbox.take(2);
    expect(texts(back)).toEqual(["300", "600"]);
    for (const delivery of back) await delivery.settle({ as: "ack" });
  });

  test("a parked message lives on when the broker object that parked it is closed", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["kept"]);
    const { inbox } = bench.consume(broker, [queue]);
    await (await inbox.next()).settle({ as: "park", until: Date.now() + 300 });
    await broker.close();
    const { inbox: again } = bench.consume(other, [queue]);
    const delivery = await again.next();
    expect(textOf(delivery.message)).toBe("kept");
    await delivery.settle({ as: "ack" });
  });

  test("parking until an instant that is over gives the message again at once", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["now"]);
    const { inbox } = bench.consume(broker, [queue]);
    await (await inbox.next()).settle({ as: "park", until: Date.now() - 1000 });
    const delivery = await inbox.next();
    expect(textOf(delivery.message)).toBe("now");
    await delivery.settle({ as: "ack" });
  });

  if (features.exchanges.includes("fanout")) {
    test("a parked message comes out in its own queue only", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const exchange = bench.name("exchange");
      const queues = [bench.queueEntity(), bench.queueEntity()];
      const entities: Entity[] = [
        { kind: "exchange", name: exchange, type: "fanout", durable: false, autoDelete: true },
        ...queues,
        ...queues.map((queue): Entity => ({ kind: "binding", queue: queue.name, exchange, routingKey: "" })),
      ];
      await broker.declare(entities);
      await bench.publish(broker, { exchange, routingKey: "" }, ["mine"]);
      const [mine, theirs] = queues.map((queue) => queue.name);
      const { inbox } = bench.consume(broker, [mine ?? ""]);
      await (await inbox.next()).settle({ as: "park", until: Date.now() + 200 });
      const delivery = await inbox.next();
      expect(delivery.queue).toBe(mine);
      await delivery.settle({ as: "ack" });
      expect(await broker.count(theirs ?? "")).toBe(1);
    });
  }
}
