/**
 * Contract: how a delivery ends.
 *
 * @module
 */
import type { BrokerFeatures, Entity } from "../../../broker.ts";
import type { Suite } from "../bench.ts";
import { textOf, textsOf } from "../letter.ts";

/** What a next consumer sees after 0, 1 and 2 of four messages were requeued in the order 2, 0, 1. */
function afterRequeue(requeue: BrokerFeatures["requeue"]): readonly string[] {
  if (requeue === "publication") return ["0", "1", "2", "3"];
  if (requeue === "returns-first") return ["2", "0", "1", "3"];
  if (requeue === "front") return ["1", "0", "2", "3"];
  return ["3", "2", "0", "1"];
}

export function settleTests(suite: Suite): void {
  const { subject: { features }, check, test } = suite;

  for (const as of ["ack", "reject"] as const) {
    test(`what was settled as ${as} never comes back`, async (bench) => {
      const { broker, queue, reader } = await bench.filled(["1", "2", "3"]);
      const other = await bench.broker();
      for (const delivery of await reader.take(3)) {
        check.equal(await delivery.settle({ as }), "settled", `the word of ${as}`);
      }
      await broker.close();
      check.equal(await other.count(queue), 0, "messages in the queue after all were settled");
    });
  }

  test("stop flushes what was settled", async (bench) => {
    const { consumer, queue, reader } = await bench.filled(["1", "2", "3", "4"], 2);
    const other = await bench.broker();
    for (const delivery of await reader.take(2)) await delivery.settle({ as: "ack" });
    await consumer.stop();
    check.equal(await other.count(queue), 2, "messages in the queue after two of four were acked");
  });

  test("a second settlement throws, whatever the first one was", async (bench) => {
    const { reader } = await bench.filled(["1", "2"]);
    const [first, second] = await reader.take(2);
    await first?.settle({ as: "ack" });
    await second?.settle({ as: "reject" });
    for (const delivery of [first, second]) {
      await check.coded(() => delivery?.settle({ as: "ack" }), "a second settlement");
    }
  });

  test("out of order settlements reach their own messages", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["0", "1", "2", "3", "4", "5"]);
    const other = await bench.broker();
    const deliveries = await reader.take(6);
    for (const index of [4, 0, 3]) await deliveries[index]?.settle({ as: "ack" });
    await broker.close();
    await bench.counts(other, queue, 3);
    const { reader: again } = bench.consume(other, [queue]);
    const rest = await again.take(3);
    check.equal(textsOf(rest).sort(), ["1", "2", "5"], "what was not acked");
    await bench.ack(...rest);
  });

  test("what was not settled is back after close, and says so", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["1", "2"]);
    const other = await bench.broker();
    await reader.take(2);
    await broker.close();
    await bench.counts(other, queue, 2);
    const { reader: again } = bench.consume(other, [queue]);
    const rest = await again.take(2);
    check.equal(textsOf(rest).sort(), ["1", "2"], "what came back");
    check.equal(rest.map(({ redelivered }) => redelivered), [true, true], "redelivered");
    if (features.attempts) check.equal(rest.map(({ attempts }) => attempts), [1, 1], "attempts");
    await bench.ack(...rest);
  });

  test("settling after close is stale", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["1"]);
    const other = await bench.broker();
    const delivery = await reader.next();
    await broker.close();
    check.equal(await delivery.settle({ as: "ack" }), "stale", "the word of an ack after the close");
    await bench.counts(other, queue, 1);
  });

  test("a requeued message comes again as redelivered", async (bench) => {
    const { reader } = await bench.filled(["again"]);
    const first = await reader.next();
    check.equal(await first.settle({ as: "requeue" }), "settled", "the word of a requeue");
    const delivery = await reader.next();
    check.equal([textOf(delivery.message), delivery.redelivered], ["again", true], "message and redelivered");
    await bench.ack(delivery);
  });

  test("requeued messages stand where the feature record says", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled(["0", "1", "2", "3"], 3);
    const held = await reader.take(3);
    await consumer.stop();
    for (const index of [2, 0, 1]) await held[index]?.settle({ as: "requeue" });
    await bench.counts(broker, queue, 4);
    const { reader: again } = bench.consume(broker, [queue]);
    const rest = await again.take(4);
    check.equal(textsOf(rest), afterRequeue(features.requeue), `the order for "${features.requeue}"`);
    await bench.ack(...rest);
  });

  test("the message that comes again is the same, value for value", async (bench) => {
    const { reader } = await bench.filled(["same"]);
    const first = await reader.next();
    const { headers } = first.message;
    await first.settle({ as: "requeue" });
    const second = await reader.next();
    check.equal(second.message.headers, headers, "the headers");
    check.equal(second.message.properties["delivery_mode"], 2, "the delivery mode");
    check.equal(second.route, first.route, "the route");
    await bench.ack(second);
  });

  if (features.park !== "none") return parkTests(suite);

  test("parking is refused with a coded error, and the delivery can still be settled", async (bench) => {
    const { reader } = await bench.filled(["1"]);
    const delivery = await reader.next();
    await check.coded(() => delivery.settle({ as: "park", until: bench.now + 1000 }), "parking");
    await bench.ack(delivery);
  });
}

function parkTests({ subject: { features, routing = "amqp" }, check, test }: Suite): void {
  for (const as of ["park", "requeue"] as const) {
    test(`a message settled as ${as} until an instant comes again then, not before, and once`, async (bench) => {
      const { broker, queue, reader } = await bench.filled(["later"]);
      const due = bench.now + 400;
      const first = await reader.next();
      const how = as === "park" ? { as, until: due } as const : { as, notBefore: due } as const;
      check.equal(await first.settle(how), "settled", `the word of ${as}`);
      const second = await reader.next();
      check.between(bench.now, due - 1, due + bench.patience, "the instant at which it came");
      check.equal([textOf(second.message), second.queue], ["later", queue], "message and queue");
      check.has(second.message.headers, { task: "tests.letter" }, "the headers");
      await bench.ack(second);
      await reader.quiet("once it was acked");
      check.equal(await broker.count(queue), 0, "messages left");
    });
  }

  test("parked messages of different instants come by their instants", async (bench) => {
    const { reader } = await bench.filled(["600", "300"]);
    const { now } = bench;
    for (const delivery of await reader.take(2)) {
      await delivery.settle({ as: "park", until: now + Number(textOf(delivery.message)) });
    }
    const back = await reader.take(2);
    check.equal(textsOf(back), ["300", "600"], "the messages, by their milliseconds");
    await bench.ack(...back);
  });

  test("a parked message lives on when the broker object that parked it is closed", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["kept"]);
    const other = await bench.broker();
    await (await reader.next()).settle({ as: "park", until: bench.now + 300 });
    await broker.close();
    const { reader: again } = bench.consume(other, [queue]);
    const delivery = await again.next();
    check.equal(textOf(delivery.message), "kept", "the message");
    await bench.ack(delivery);
  });

  test("parking until an instant that is over gives the message again at once", async (bench) => {
    const { reader } = await bench.filled(["now"]);
    await (await reader.next()).settle({ as: "park", until: bench.now - 1000 });
    const delivery = await reader.next();
    check.equal(textOf(delivery.message), "now", "the message");
    await bench.ack(delivery);
  });

  if (features.exchanges.includes("fanout")) {
    test("a parked message comes out in its own queue only", async (bench) => {
      const broker = await bench.broker();
      const exchange = bench.name("exchange");
      // kombu's fanout exchange has no queues.
      const type = routing === "amqp" ? "fanout" : "direct";
      const [mine, theirs] = [bench.queueEntity(), bench.queueEntity()];
      const entities: Entity[] = [
        { kind: "exchange", name: exchange, type, durable: false, autoDelete: true },
        mine,
        theirs,
        { kind: "binding", queue: mine.name, exchange, routingKey: "" },
        { kind: "binding", queue: theirs.name, exchange, routingKey: "" },
      ];
      await broker.declare(entities);
      await bench.publish(broker, { exchange, routingKey: "" }, ["mine"]);
      const { reader } = bench.consume(broker, [mine.name]);
      await (await reader.next()).settle({ as: "park", until: bench.now + 200 });
      const delivery = await reader.next();
      check.equal(delivery.queue, mine.name, "the queue that it came out in");
      await bench.ack(delivery);
      check.equal(await broker.count(theirs.name), 1, "messages in the other bound queue");
    });
  }
}
