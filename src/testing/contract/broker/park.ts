/**
 * Contract: a delivery that is put aside until an instant.
 *
 * @module
 */
import type { Entity } from "../../../broker.ts";
import type { Suite } from "../bench.ts";
import { textOf, textsOf } from "../letter.ts";

export function parkTests({ subject: { features, routing = "amqp" }, check, test }: Suite): void {
  if (features.park === "none") {
    test("parking is refused with a coded error, and the delivery can still be settled", async (bench) => {
      const { reader } = await bench.filled(["1"]);
      const delivery = await reader.next();
      await check.coded(() => delivery.settle({ as: "park", until: bench.now + 1000 }), "parking");
      await bench.ack(delivery);
    });
    return;
  }

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
      if (as === "requeue") {
        check.equal(second.redelivered, true, "redelivered");
        // Nor does the next wait make it new.
        await second.settle({ as: "park", until: bench.now + 50 });
        const third = await reader.next();
        check.equal(third.redelivered, true, "redelivered, after it was parked");
        check.equal(
          third.message.headers["celeriac-returned"],
          undefined,
          "a mark of ours among the sender's headers",
        );
        await bench.ack(third);
        return;
      }
      check.equal(second.redelivered, false, "redelivered: it was put aside, not lost");
      await bench.ack(second);
      await reader.quiet("once it was acked");
      check.equal(await broker.count(queue), 0, "messages left");
    });
  }

  test("parked messages of different instants come by their instants", async (bench) => {
    const { reader } = await bench.filled(["first", "1200", "600"]);
    const [first, ...others] = await reader.take(3);
    // What a broker makes for its first park takes a while, in which the others would be due.
    await first?.settle({ as: "park", until: bench.now + 50 });
    const { now } = bench;
    for (const delivery of others) {
      await delivery.settle({ as: "park", until: now + Number(textOf(delivery.message)) });
    }
    const back = await reader.take(3);
    check.equal(textsOf(back), ["first", "600", "1200"], "the messages, by their milliseconds");
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

  test("a message parked three times in a row comes out once each time, in its own queue, whatever other queues are called", async (bench) => {
    const broker = await bench.broker();
    const own = bench.queueEntity();
    const longer = { ...bench.queueEntity(), name: `a.${own.name}` };
    await broker.declare([own, longer]);
    await bench.publish(broker, { exchange: "", routingKey: own.name }, ["thrice"]);
    const { reader } = bench.consume(broker, [own.name]);
    let delivery = await reader.next();
    for (let round = 1; round <= 3; round++) {
      const due = bench.now + 200;
      await delivery.settle({ as: "park", until: due });
      delivery = await reader.next();
      check.between(bench.now, due - 1, due + bench.patience, `the instant at which it came, round ${round}`);
    }
    check.equal([textOf(delivery.message), delivery.queue], ["thrice", own.name], "message and queue");
    await bench.ack(delivery);
    await reader.quiet("once it was acked");
    check.equal([await broker.count(own.name), await broker.count(longer.name)], [0, 0], "messages left");
  });

  test("a parked message keeps what it carries and the way that it came, and outlives its expiration", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const properties = { correlation_id: "an-id", reply_to: "a-queue", priority: 3, expiration: "300" };
    const exchange = routing === "amqp" ? bench.exchangeEntity("direct") : undefined;
    if (exchange !== undefined) {
      await broker.declare([
        exchange,
        { kind: "binding", queue, exchange: exchange.name, routingKey: "a.key" },
      ]);
    }
    const to = exchange === undefined ? queue : { exchange: exchange.name, routingKey: "a.key" };
    const { reader } = bench.consume(broker, [queue]);
    const outgoing = bench.outgoing(to, "kept", properties);
    const headers = { ...outgoing.message.headers, nested: { list: [1, "two", null] } };
    await broker.publish([{ ...outgoing, message: { ...outgoing.message, headers } }]);
    const first = await reader.next();
    await first.settle({ as: "park", until: bench.now + 600 });
    const second = await reader.next();
    const { expiration: _, ...others } = properties;
    check.has(second.message.properties, { delivery_mode: 2, ...others }, "the properties");
    check.has(second.message.headers, headers, "the headers");
    check.equal(textOf(second.message), "kept", "the body");
    check.equal(second.route, first.route, "how it came");
    await bench.ack(second);
  });

  test("parking for longer than the feature record allows is refused with a code, and the delivery can still be settled", async (bench) => {
    const { reader } = await bench.filled(["1"]);
    const delivery = await reader.next();
    const until = bench.now + features.maxPark + 60_000;
    await check.coded(() => delivery.settle({ as: "park", until }), "parking for too long");
    await bench.ack(delivery);
  });
}
