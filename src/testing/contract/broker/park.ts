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

  test("parking for longer than the feature record allows is refused with a code, and the delivery can still be settled", async (bench) => {
    const { reader } = await bench.filled(["1"]);
    const delivery = await reader.next();
    const until = bench.now + features.maxPark + 60_000;
    await check.coded(() => delivery.settle({ as: "park", until }), "parking for too long");
    await bench.ack(delivery);
  });
}
