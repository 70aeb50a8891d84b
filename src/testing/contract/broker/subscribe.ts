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

    test("a subscription that is ready hears what is published at once, over a link that stood before", async (bench) => {
      const broker = await bench.broker();
      await bench.publish(broker, await bench.queue(broker), ["the link stands"]);
      const exchange = { name: bench.name("exchange"), type: "fanout", durable: false } as const;
      await broker.declare([{ kind: "exchange", autoDelete: false, ...exchange }]);
      // With the news of it the publish is on its way; to listen takes a link of its own.
      const subscription = (await bench.broker()).subscribe({ queue: bench.name("pidbox"), exchange });
      await subscription.ready;
      await bench.publish(broker, { exchange: exchange.name, routingKey: "" }, ["ping"]);
      check.equal((await bench.reader(subscription).take(1)).map(textOf), ["ping"], "what was heard");
      await subscription.close();
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

  test("messages come as they were sent", async (bench) => {
    const broker = await bench.broker();
    const queue = bench.name("reply");
    const subscription = broker.subscribe({ queue });
    await subscription.ready;
    const outgoing = bench.outgoing(queue, '{"ü": 1}', { correlation_id: "7d5c2c0e", delivery_mode: 1 });
    await broker.publish([outgoing]);
    const message = await bench.reader(subscription).next();
    check.equal(message.headers, outgoing.message.headers, "the headers");
    check.has(message.properties, { correlation_id: "7d5c2c0e" }, "the properties");
    check.equal(
      [message.contentType, message.contentEncoding],
      ["application/json", "utf-8"],
      "type and encoding",
    );
    check.equal(textOf(message), '{"ü": 1}', "the body");
    await subscription.close();
  });

  test("what a subscription took and nobody read is gone with it", async (bench) => {
    const broker = await bench.broker();
    const queue = bench.name("reply");
    const first = broker.subscribe({ queue });
    await first.ready;
    await bench.publish(broker, queue, ["unread"]);
    await first.close();
    const second = broker.subscribe({ queue });
    await second.ready;
    await bench.publish(broker, queue, ["next"]);
    check.equal(textOf(await bench.reader(second).next()), "next", "the first that the second one hears");
    await second.close();
  });

  test("closing one subscription leaves the others of its broker alone", async (bench) => {
    const broker = await bench.broker();
    const queues = [bench.name("reply"), bench.name("reply")] as const;
    const [one, other] = [broker.subscribe({ queue: queues[0] }), broker.subscribe({ queue: queues[1] })];
    await Promise.all([one.ready, other.ready]);
    await one.close();
    await bench.publish(broker, queues[1], ["heard"]);
    check.equal(textOf(await bench.reader(other).next()), "heard", "what the other one hears");
    await other.close();
  });

  test("a subscription that is closed at once is not ready, or was just in time", async (bench) => {
    const broker = await bench.broker();
    const subscription = broker.subscribe({ queue: bench.name("reply") });
    const ready = subscription.ready.then(() => undefined, (error: unknown) => error);
    await subscription.close();
    const error = await ready;
    if (error !== undefined) await check.coded(() => Promise.reject(error), "its ready");
    await bench.reader(subscription).ended();
  });

  if (routing !== "amqp") return;

  test("a subscription that the broker refuses is told, and closing it rejects its ready", async (bench) => {
    const broker = await bench.broker();
    const name = bench.name("exchange");
    await broker.declare([{ ...bench.exchangeEntity("direct"), name }]);
    const events = bench.events(broker);
    const subscription = broker.subscribe({
      queue: bench.name("reply"),
      exchange: { name, type: "fanout", durable: true },
    });
    const ready = check.coded(() => subscription.ready, "its ready");
    const told = await bench.until(() => events.find((event) => event.is === "down"), {
      what: "news of the refusal",
    });
    check.ok(told.is === "down" && told.retryIn !== undefined, "expected news of another attempt");
    await subscription.close();
    await ready;
  });

  test("nobody else can read an inbox: who asks for it too is told, and has it when the first is gone", async (bench) => {
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = bench.name("reply");
    const first = broker.subscribe({ queue });
    await first.ready;
    const events = bench.events(other);
    const second = other.subscribe({ queue });
    const told = await bench.until(() => events.find((event) => event.is === "down"), {
      what: "news of the refusal",
    });
    check.ok(told.is === "down" && told.retryIn !== undefined, "expected news of another attempt");
    await bench.publish(broker, queue, ["mine"]);
    check.equal(textOf(await bench.reader(first).next()), "mine", "what the first one hears");
    await check.coded(() => bench.consume(other, [queue]).reader.next(), "consuming another's inbox");
    await first.close();
    await second.ready;
    await bench.publish(broker, queue, ["theirs"]);
    check.equal(textOf(await bench.reader(second).next()), "theirs", "what the second one hears");
    await second.close();
  });
}
