/**
 * Contract: what a broker says of itself, its topology, its queues' sizes, and its end.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { BrokerEvent, Entity } from "../../../src/broker.ts";
import { attempt, Bench, type BrokerSubject, textOf } from "../bench.ts";

export function exerciseTopology(subject: BrokerSubject): void {
  test("a broker declares its features, its transport and an address without secrets", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    expect(broker.features).toEqual(subject.features);
    expect(broker.transport).toMatch(/^[a-z]+$/);
    expect(broker.address).not.toMatch(/:[^/@*]+@/);
  });

  if (subject.features.link === "shared") {
    test("connect opens the link once and may be called again", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const events: BrokerEvent[] = [];
      using _ = broker.observe((event) => events.push(event));
      await broker.connect();
      const ups = events.filter((event) => event.is === "up").length;
      await broker.connect();
      expect(ups).toBeGreaterThan(0);
      expect(events.filter((event) => event.is === "up")).toHaveLength(ups);
    });
  }

  test("an observer that was disposed hears nothing more", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const events: BrokerEvent[] = [];
    broker.observe((event) => events.push(event))[Symbol.dispose]();
    await broker.connect();
    expect(events).toEqual([]);
  });

  test("declaring the same again changes nothing", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const entity = bench.queueEntity();
    await broker.declare([entity]);
    await bench.publish(broker, entity.name, ["one"]);
    await broker.declare([entity]);
    expect(await broker.count(entity.name)).toBe(1);
  });

  test("entities are declared in the given order", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = bench.queueEntity();
    const exchange = bench.name("exchange");
    const entities: Entity[] = [
      { kind: "exchange", name: exchange, type: "direct", durable: false, autoDelete: true },
      queue,
      { kind: "binding", queue: queue.name, exchange, routingKey: "key" },
    ];
    await broker.declare(entities);
    await bench.publish(broker, { exchange, routingKey: "key" }, ["through"]);
    expect(await broker.count(queue.name)).toBe(1);
  });

  test("what one broker object declared, another one of the same server sees", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(other, queue, ["seen"]);
    expect(await broker.count(queue)).toBe(1);
  });

  test("a declaration whose signal is aborted already rejects with its reason", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const reason = new Error("no longer wanted");
    await expect(attempt(() => broker.declare([bench.queueEntity()], { signal: AbortSignal.abort(reason) })))
      .rejects
      .toBe(reason);
  });

  test("purge empties the queue and says how many went", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3"]);
    expect(await broker.purge(queue)).toBe(3);
    expect(await broker.count(queue)).toBe(0);
    expect(await broker.purge(queue)).toBe(0);
  });

  if (subject.consume === undefined) {
    test("purge leaves alone what is being worked on", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["held", "waiting"]);
      const { consumer, inbox } = bench.consume(broker, [queue], 1);
      const held = await inbox.next();
      await bench.counts(broker, queue, 1);
      expect(await broker.purge(queue)).toBe(1);
      expect(await held.settle({ as: "requeue" })).toBe("settled");
      const again = await inbox.next();
      expect(textOf(again.message)).toBe("held");
      await again.settle({ as: "ack" });
      await consumer.stop();
    });
  }

  test("a queue that does not exist holds nothing and is purged of nothing", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const name = bench.name("queue");
    expect(await broker.count(name)).toBe(0);
    expect(await broker.purge(name)).toBe(0);
    // Asking must not have made it.
    if (subject.features.mustRoute && subject.routing !== "kombu") {
      expect(await broker.publish([bench.outgoing(name, "lost")])).toEqual([{ is: "unroutable" }]);
    }
  });

  test("close may be called twice, and the broker is usable again after it", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await broker.close();
    await broker.close();
    await bench.publish(broker, queue, ["after"]);
    expect(await broker.count(queue)).toBe(1);
  });

  test("closing a broker that was never used does nothing", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    await broker.close();
  });
}
