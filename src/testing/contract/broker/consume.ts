/**
 * Contract: who gets a message, in what order, and how many at a time.
 *
 * @module
 */
import type { Suite } from "../bench.ts";
import { textOf, textsOf } from "../letter.ts";

export function consumeTests({ subject: { features }, check, test }: Suite): void {
  test("a waiting message comes first come, first served, and is new", async (bench) => {
    const { queue, reader } = await bench.filled(["1", "2", "3"]);
    const deliveries = await reader.take(3);
    check.equal(textsOf(deliveries), ["1", "2", "3"], "the messages");
    check.equal(deliveries.map(({ redelivered }) => redelivered), [false, false, false], "redelivered");
    check.equal(deliveries.map((delivery) => delivery.queue), [queue, queue, queue], "the queues");
    check.equal(deliveries[0]?.route, { exchange: "", routingKey: queue, priority: 0 }, "the route");
    await bench.ack(...deliveries);
  });

  test("a message published while a consumer waits comes to it", async (bench) => {
    const { broker, queue, reader } = await bench.filled([]);
    const next = reader.ask();
    await bench.publish(broker, queue, ["later"]);
    await next;
    const delivery = await reader.next();
    check.equal(textOf(delivery.message), "later", "the message");
    await bench.ack(delivery);
  });

  test("competing consumers share the messages, each of which goes to one", async (bench) => {
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
          const seen = (): string => shares.join(" and ");
          await bench.until(() => shares.every((share) => share > 0), { what: "a share for both", seen });
        }
        await delivery.settle({ as: "ack" });
      }
    });
    const sent = Array.from({ length: 60 }, (_, index) => String(index));
    await bench.publish(broker, queue, sent);
    await bench.until(() => got.length >= sent.length, {
      what: "all messages",
      seen: () => `${got.length} of ${sent.length}`,
    });
    for (const consumer of consumers) await consumer.stop();
    await Promise.all(reading);
    check.equal(got.map(Number).sort((a, b) => a - b), sent.map(Number), "what both got");
  });

  test("no more than prefetch deliveries are out, and each settlement lets one more come", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["1", "2", "3", "4", "5"], 2);
    const held = await reader.take(2);
    await bench.counts(broker, queue, 3);
    await reader.quiet("with prefetch 2 and two held");
    await bench.ack(held[0]);
    const third = await reader.next();
    check.equal(textOf(third.message), "3", "the message after the first ack");
    await bench.counts(broker, queue, 2);
    await reader.quiet("with prefetch 2 and two held again");
  });

  test("prefetch counts per queue", async (bench) => {
    const broker = await bench.broker();
    const queues = [await bench.queue(broker), await bench.queue(broker)];
    for (const queue of queues) await bench.publish(broker, queue, ["a", "b", "c"]);
    const { reader } = bench.consume(broker, queues, 2);
    const deliveries = await reader.take(4);
    for (const queue of queues) {
      check.equal(
        deliveries.filter((delivery) => delivery.queue === queue).length,
        2,
        "deliveries of a queue",
      );
      await bench.counts(broker, queue, 1);
    }
    await reader.quiet("with prefetch 2 and two held of each queue");
  });

  test("prefetch 0 is no bound", async (bench) => {
    const sent = Array.from({ length: 300 }, (_, index) => String(index));
    const { reader } = await bench.filled(sent, 0);
    check.equal(textsOf(await reader.take(300)), sent, "the messages");
  });

  if (features.priority !== "none") {
    test("among waiting messages priority goes first, then age", async (bench) => {
      const broker = await bench.broker();
      const highFirst = features.priority === "high-first";
      const queue = await bench.queue(broker, highFirst ? { "x-max-priority": 9 } : {});
      const sent: [string, number][] = [["a0", 0], ["b9", 9], ["c3", 3], ["d9", 9], ["e0", 0], ["f3", 3]];
      await broker.publish(sent.map(([text, priority]) => bench.outgoing(queue, text, { priority })));
      const { reader } = bench.consume(broker, [queue], 0);
      const high = ["b9", "d9", "c3", "f3", "a0", "e0"];
      const wanted = highFirst ? high : ["a0", "e0", "c3", "f3", "b9", "d9"];
      check.equal(textsOf(await reader.take(6)), wanted, "the messages by priority and age");
    });
  }

  test("attempts are counted where the feature record says so, else they are undefined", async (bench) => {
    const { reader } = await bench.filled(["1"]);
    const first = await reader.next();
    check.equal(first.attempts, features.attempts ? 0 : undefined, "attempts of a first delivery");
    await first.settle({ as: "requeue" });
    const second = await reader.next();
    check.equal(second.attempts, features.attempts ? 1 : undefined, "attempts of the second delivery");
    await bench.ack(second);
  });

  test("a queue that is named twice is consumed once", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const consumer = broker.consume([queue, queue], { prefetch: 1 });
    await bench.publish(broker, queue, ["1", "2"]);
    const reader = bench.reader(consumer);
    const first = await reader.next();
    await bench.counts(broker, queue, 1);
    await reader.quiet("with prefetch 1 and one held");
    await bench.ack(first);
    await bench.ack(await reader.next());
  });

  if (features.delivery === "poll") {
    // A broker without queue objects (Redis) simply waits: there is nothing that could be missing.
    test("a queue that does not exist is waited for", async (bench) => {
      const broker = await bench.broker();
      const { reader } = bench.consume(broker, [bench.name("queue")]);
      await reader.quiet("of a queue that is not there yet");
    });
    return;
  }

  test("a queue that does not exist and was not declared ends the iteration with a coded error", async (bench) => {
    const broker = await bench.broker();
    const events = bench.events(broker);
    const { reader } = bench.consume(broker, [bench.name("queue")]);
    await check.coded(() => reader.next(), "the next delivery of a queue that does not exist");
    const fatal = await bench.until(() => events.find((event) => event.is === "fatal"), {
      what: "news of it",
    });
    check.ok("error" in fatal && fatal.error instanceof Error, "expected an error in the news");
  });
}
