/**
 * Contract: listening without settling, for control, events and replies.
 *
 * @module
 */
import type { Suite } from "../bench.ts";
import { textOf } from "../letter.ts";

export function subscribeTests({ subject: { features, routing = "amqp" }, check, test }: Suite): void {
  test("what is published once a subscription is ready arrives, in order", async (bench) => {
    const broker = await bench.broker();
    const queue = bench.name("reply");
    const subscription = broker.subscribe({ queue });
    await subscription.ready;
    await bench.publish(broker, queue, ["1", "2", "3"]);
    const heard = await bench.reader(subscription).take(3);
    check.equal(heard.map(textOf), ["1", "2", "3"], "what was heard");
    await subscription.close();
  });

  if (features.exchanges.includes("fanout")) {
    test("each subscriber of a fanout exchange gets each message", async (bench) => {
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
        const heard = await bench.reader(subscription).take(2);
        check.equal(heard.map(textOf), ["ping", "pong"], "what one of two subscribers heard");
        await subscription.close();
      }
    });
  }

  if (features.exchanges.includes("topic")) {
    test("a subscription hears the routing keys that it asked for", async (bench) => {
      const broker = await bench.broker();
      const exchange = { name: bench.name("exchange"), type: "topic", durable: true } as const;
      const subscription = broker.subscribe({
        queue: bench.name("celeryev"),
        exchange,
        routingKeys: ["task.*", "worker.#"],
      });
      await subscription.ready;
      const sent = [["task.sent", "1"], ["beat", "2"], ["worker.a.b", "3"], ["worker", "4"]] as const;
      for (const [routingKey, text] of sent) {
        const to = { exchange: exchange.name, routingKey };
        await broker.publish([{ ...bench.outgoing(to, text), mustRoute: false }]);
      }
      // For kombu "worker.#" wants the dot.
      const wanted = routing === "amqp" ? ["1", "3", "4"] : ["1", "3"];
      const heard = await bench.reader(subscription).take(wanted.length);
      check.equal(heard.map(textOf), wanted, "what was heard");
      await subscription.close();
    });
  }

  test("closing a subscription ends its iteration, and closing again does nothing", async (bench) => {
    const broker = await bench.broker();
    const subscription = broker.subscribe({ queue: bench.name("reply") });
    await subscription.ready;
    const waiting = bench.reader(subscription).ask();
    await subscription.close();
    check.equal((await waiting).done, true, "whether the iteration that waited is at its end");
    await subscription.close();
  });

  if (features.mustRoute) {
    test("the queue of a closed subscription is gone", async (bench) => {
      const broker = await bench.broker();
      const queue = bench.name("reply");
      // With kombu a message to the default exchange makes its queue.
      const exchange = routing === "amqp"
        ? undefined
        : { name: bench.name("exchange"), type: "direct", durable: false } as const;
      const subscription = broker.subscribe({ queue, ...(exchange && { exchange }) });
      await subscription.ready;
      const to = exchange === undefined ? queue : { exchange: exchange.name, routingKey: "" };
      await bench.publish(broker, to, ["heard"]);
      await subscription.close();
      const verdicts = await broker.publish([bench.outgoing(to, "lost")]);
      check.equal(verdicts, [{ is: "unroutable" }], "the verdict of a publish to it");
    });
  }

  test("closing the broker ends its subscriptions", async (bench) => {
    const broker = await bench.broker();
    const subscription = broker.subscribe({ queue: bench.name("reply") });
    await subscription.ready;
    const reader = bench.reader(subscription);
    await broker.close();
    await reader.ended();
  });
}
