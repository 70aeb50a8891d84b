/**
 * Contract: consumers, subscriptions and those who watch them go on when the network is back.
 *
 * @module
 */
import type { BrokerEvent, Entity, QueueEntity } from "../../../broker.ts";
import { show } from "../../difference.ts";
import { pause } from "../../wait.ts";
import type { Suite } from "../bench.ts";
import { textOf } from "../letter.ts";
import type { FaultySubject } from "./loss.ts";

export function recoverTests(
  { subject: { features, link, routing = "amqp" }, check, test }: Suite<FaultySubject>,
): void {
  test("a consumer goes on after a cut", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled([]);
    const sender = await bench.broker();
    await bench.publish(sender, queue, ["before"]);
    await (await reader.next()).settle({ as: "ack" });
    await link.cut();
    await bench.publishAtLast(sender, queue, "after");
    let delivery = await reader.next();
    // The ack of the first may have been lost with the link.
    if (textOf(delivery.message) === "before") {
      check.equal(delivery.redelivered, true, "redelivered, of a message that came before");
      await bench.ack(delivery);
      delivery = await reader.next();
    }
    check.equal(textOf(delivery.message), "after", "the message after the cut");
    await bench.ack(delivery);
    await consumer.stop();
    await broker.close();
  });

  test("a consumer keeps its prefetch and its queues over a cut", async (bench) => {
    const broker = await bench.broker();
    const sender = await bench.broker();
    const [first, second] = [await bench.queue(broker), await bench.queue(broker)];
    const { consumer, reader } = bench.consume(broker, [first], 4);
    await consumer.setPrefetch(1);
    await consumer.add(second);
    await link.cut();
    for (const queue of [first, second]) {
      await bench.publishAtLast(sender, queue, "1");
      await sender.publish([bench.outgoing(queue, "2")]);
    }
    const held = await reader.take(2);
    check.equal(held.map(({ queue }) => queue).sort(), [first, second].sort(), "the queues of what came");
    await bench.counts(sender, first, 1);
    await bench.counts(sender, second, 1);
    await reader.quiet("with prefetch 1 and one held of each queue");
  });

  test("an observer learns that a link went down and came up again", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const events: BrokerEvent[] = [];
    using _ = broker.observe((event) => events.push(event));
    const { reader } = bench.consume(broker, [queue]);
    await bench.publish(broker, queue, ["1"]);
    await bench.ack(await reader.next());
    // Where each look is a link of its own, a cut strikes at most one, which is asked again: such a link is down where no answer comes.
    const lookwise = features.delivery === "poll" && features.link === "call";
    await (lookwise ? link.freeze() : link.cut());
    const seen = (): string => show(events);
    const down = await bench.until(
      () => events.find((event) => event.is === "down" && event.link === "consume"),
      { what: "news of the loss", seen },
    );
    const told = down.is === "down" ? [down.error instanceof Error, typeof down.retryIn] : [];
    check.equal(told, [true, "number"], "whether it says why, and the ms until the next attempt");
    await link.thaw();
    await bench.until(
      () => events.slice(events.indexOf(down)).some((event) => event.is === "up" && event.link === "consume"),
      { what: "news of the recovery", seen },
    );
  });

  if (features.subscribe) {
    test("a subscription hears again after a cut", async (bench) => {
      const broker = await bench.broker();
      const sender = await bench.broker();
      const queue = bench.name("reply");
      const subscription = broker.subscribe({ queue });
      await subscription.ready;
      await link.cut();
      let heard = "";
      const first = bench.reader(subscription).next().then((message) => heard = textOf(message));
      await bench.until(async () => {
        await sender.publish([{ ...bench.outgoing(queue, "hello"), mustRoute: false }]);
        return heard;
      }, { what: "a message after the cut", every: 50 });
      check.equal(await first, "hello", "what was heard after the cut");
      await subscription.close();
    });

    for (const end of ["cut", "thawed"] as const) {
      test(`a subscription on a network that froze hears again once that is ${end}`, async (bench) => {
        const broker = await bench.broker();
        const sender = await bench.broker();
        const queue = bench.name("reply");
        const subscription = broker.subscribe({ queue });
        await subscription.ready;
        const reader = bench.reader(subscription);
        await bench.publish(sender, queue, ["before"]);
        check.equal(textOf(await reader.next()), "before", "what was heard before");
        void reader.ask();
        await link.freeze();
        // What it asks for and what it is told stand still by then. Nobody can see that from here, since a frozen network tells nobody. Where
        // the time is too short the test asks for less, and does not fail.
        await pause(100);
        if (end === "cut") await link.cut();
        await link.thaw();
        let heard = "";
        const first = reader.next().then((message) => heard = textOf(message));
        await bench.until(async () => {
          await sender.publish([{ ...bench.outgoing(queue, "hello"), mustRoute: false }]);
          return heard;
        }, { what: "a message after it", every: 50 });
        check.equal(await first, "hello", "what was heard after it");
        await subscription.close();
      });
    }
  }

  test("prefetch, order and settlements are as ever after many cuts", async (bench) => {
    const { broker, queue, reader } = await bench.filled([], 1);
    const sender = await bench.broker();
    for (let round = 0; round < 5; round++) await link.cut();
    await bench.publishAtLast(sender, queue, "1");
    await bench.publish(sender, queue, ["2", "3"]);
    for (const [text, left] of [["1", 2], ["2", 1], ["3", 0]] as const) {
      const delivery = await reader.next();
      check.equal(textOf(delivery.message), text, "the next message");
      await bench.counts(sender, queue, left);
      await reader.quiet("with prefetch 1 and one held", 20);
      await bench.ack(delivery);
    }
    await broker.close();
    check.equal(await sender.count(queue), 0, "messages left");
  });

  test("stop and close after a cut come to their end, and nothing is told after a close", async (bench) => {
    const { broker, consumer, reader } = await bench.filled(["1"]);
    await reader.next();
    await link.cut();
    await consumer.stop();
    await reader.ended();
    await broker.close();
    const events = bench.events(broker);
    await pause(100);
    check.equal(events, [], "what was told after the close");
  });

  test("aliveAt stands still while nothing can arrive, and goes on afterwards", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled(["1"]);
    const sender = await bench.broker();
    await bench.ack(await reader.next());
    await link.freeze();
    const frozen = bench.now;
    await pause(60);
    const { aliveAt } = consumer;
    check.between(aliveAt, 1, frozen, "aliveAt on a frozen network");
    await link.cut();
    await link.thaw();
    await bench.publishAtLast(sender, queue, "2");
    await bench.ack(await reader.next());
    check.between(consumer.aliveAt, frozen, bench.now, "aliveAt after it came back");
    await broker.close();
  });

  if (features.link === "shared" && routing === "amqp") {
    test("what was declared stands again after a cut, though it went with the link", async (bench) => {
      const broker = await bench.broker();
      const queue: QueueEntity = { ...bench.queueEntity(), durable: false, exclusive: true, arguments: {} };
      const exchange = bench.exchangeEntity("direct");
      const binding: Entity = {
        kind: "binding",
        queue: queue.name,
        exchange: exchange.name,
        routingKey: "key",
      };
      await broker.declare([exchange, queue, binding]);
      const { reader } = bench.consume(broker, [queue.name]);
      const to = { exchange: exchange.name, routingKey: "key" };
      await bench.publish(broker, to, ["before"]);
      await bench.ack(await reader.next());
      await link.cut();
      let heard = "";
      const next = reader.next().then((delivery) => {
        heard = textOf(delivery.message);
        return delivery;
      });
      await bench.until(async () => {
        await broker.publish([{ ...bench.outgoing(to, "after"), mustRoute: false }]);
        return heard;
      }, { what: "a message by the binding", every: 50 });
      check.equal(heard, "after", "the message after the cut");
      await bench.ack(await next);
    });
  }
}
