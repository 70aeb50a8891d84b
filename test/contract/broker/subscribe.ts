/**
 * Contract: listening without settling, for control, events and replies.
 *
 * @module
 */
import { expect, test } from "vitest";
import { Bench, type BrokerSubject, textOf } from "../bench.ts";

export function exerciseSubscribe(subject: BrokerSubject): void {
  const { features } = subject;

  test("what is published once a subscription is ready arrives, in order", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = bench.name("reply");
    const subscription = broker.subscribe({ queue });
    await subscription.ready;
    const inbox = bench.inbox(subscription);
    await bench.publish(broker, queue, ["1", "2", "3"]);
    expect((await inbox.take(3)).map(textOf)).toEqual(["1", "2", "3"]);
    await subscription.close();
  });

  if (features.exchanges.includes("fanout")) {
    test("each subscriber of a fanout exchange gets each message", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const exchange = { name: bench.name("exchange"), type: "fanout", durable: false } as const;
      const subscriptions = ["a", "b"].map((node) =>
        broker.subscribe({
          queue: bench.name(`${node}.pidbox`),
          exchange,
          messageTtl: 60_000,
          expires: 60_000,
        })
      );
      for (const subscription of subscriptions) await subscription.ready;
      await bench.publish(broker, { exchange: exchange.name, routingKey: "" }, ["ping", "pong"]);
      for (const subscription of subscriptions) {
        expect((await bench.inbox(subscription).take(2)).map(textOf)).toEqual(["ping", "pong"]);
        await subscription.close();
      }
    });
  }

  if (features.exchanges.includes("topic")) {
    test("a subscription hears the routing keys that it asked for", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const exchange = { name: bench.name("exchange"), type: "topic", durable: true } as const;
      const subscription = broker.subscribe({
        queue: bench.name("celeryev"),
        exchange,
        routingKeys: ["task.*", "worker.#"],
      });
      await subscription.ready;
      for (
        const [routingKey, text] of [["task.sent", "1"], ["beat", "2"], ["worker.a.b", "3"], ["worker", "4"]]
      ) {
        const to = { exchange: exchange.name, routingKey: routingKey ?? "" };
        await broker.publish([{ ...bench.outgoing(to, text ?? ""), mustRoute: false }]);
      }
      expect((await bench.inbox(subscription).take(3)).map(textOf)).toEqual(["1", "3", "4"]);
      await subscription.close();
    });
  }

  test("closing a subscription ends its iteration, and closing again does nothing", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const subscription = broker.subscribe({ queue: bench.name("reply") });
    await subscription.ready;
    const inbox = bench.inbox(subscription);
    const waiting = inbox.ask();
    await subscription.close();
    expect((await waiting).done).toBe(true);
    await subscription.close();
  });

  if (features.mustRoute) {
    test("the queue of a closed subscription is gone", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = bench.name("reply");
      const subscription = broker.subscribe({ queue });
      await subscription.ready;
      await bench.publish(broker, queue, ["heard"]);
      await subscription.close();
      expect(await broker.publish([bench.outgoing(queue, "lost")])).toEqual([{ is: "unroutable" }]);
    });
  }

  test("closing the broker ends its subscriptions", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const subscription = broker.subscribe({ queue: bench.name("reply") });
    await subscription.ready;
    const inbox = bench.inbox(subscription);
    await broker.close();
    await inbox.ended();
  });
}
