/**
 * Contract: how a delivery ends.
 *
 * @module
 */
import type { BrokerFeatures } from "../../../broker.ts";
import type { Suite } from "../bench.ts";
import { textOf, textsOf } from "../letter.ts";

/** What a next consumer sees after 0, 1 and 2 of four messages were requeued in the order 2, 0, 1. */
function afterRequeue(requeue: BrokerFeatures["requeue"]): readonly string[] {
  if (requeue === "publication") return ["0", "1", "2", "3"];
  if (requeue === "returns-first") return ["2", "0", "1", "3"];
  if (requeue === "front") return ["1", "0", "2", "3"];
  return ["3", "2", "0", "1"];
}

export function settleTests({ subject: { features, routing = "amqp" }, check, test }: Suite): void {
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
    const { broker, consumer, queue, reader } = await bench.filled(["1", "2", "3", "4"], 3);
    const other = await bench.broker();
    const [first, second, held] = await reader.take(3);
    for (const delivery of [first, second]) await delivery?.settle({ as: "ack" });
    await consumer.stop();
    check.equal(
      await other.count(queue),
      1,
      "messages in the queue after two of four were acked and one is held",
    );
    if (features.loss === "lease") return await bench.ack(held);
    // A close that only lets go flushes nothing: all that is unsettled at the server comes back, in one step.
    await broker.close({ signal: AbortSignal.abort() });
    await bench.counts(other, queue, 2);
    const rest = await bench.consume(other, [queue]).reader.take(2);
    check.equal(textsOf(rest).sort(), ["3", "4"], "what was not settled");
    await bench.ack(...rest);
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

  test("hundreds of settlements of every kind at once each reach their own message", async (bench) => {
    const sent = Array.from({ length: 300 }, (_, index) => String(index));
    const { broker, queue, consumer, reader } = await bench.filled(sent, 0);
    const other = await bench.broker();
    const held = await reader.take(300);
    await consumer.stop();
    const kinds = ["ack", "reject", "requeue"] as const;
    // 11 and 300 have no common divisor: each index once, far from the order of delivery. Nor has it the kinds of that order.
    const settling = sent.flatMap((_, index) => {
      const at = (index * 11) % 300;
      const delivery = held[at];
      return delivery === undefined ? [] : [delivery.settle({ as: kinds[at % 3] ?? "ack" })];
    });
    const words = await Promise.all(settling);
    check.equal([...new Set(words)], ["settled"], "the words");
    await broker.close();
    await bench.counts(other, queue, 100);
    const { reader: again } = bench.consume(other, [queue], 0);
    const rest = await again.take(100);
    const back = textsOf(rest).map(Number).sort((a, b) => a - b);
    check.equal(back, sent.map(Number).filter((number) => number % 3 === 2), "what was requeued");
    await bench.ack(...rest);
  });

  if (features.park === "none") {
    test("a requeue that is to wait comes again at once, as nothing is parked", async (bench) => {
      const { reader } = await bench.filled(["1"]);
      const first = await reader.next();
      const word = await first.settle({ as: "requeue", notBefore: bench.now + 60_000 });
      check.equal(word, "settled", "the word of the requeue");
      await bench.ack(await reader.next());
    });
  }

  if (routing !== "amqp") return;

  test("a rejected message goes to the dead letter exchange of its queue, where it has one", async (bench) => {
    const broker = await bench.broker();
    const dead = await bench.queue(broker);
    const queue = await bench.queue(broker, {
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": dead,
    });
    await bench.publish(broker, queue, ["acked", "rejected"]);
    const { reader } = bench.consume(broker, [queue]);
    const [acked, rejected] = await reader.take(2);
    await bench.ack(acked);
    check.equal(await rejected?.settle({ as: "reject" }), "settled", "the word of the reject");
    const { reader: grave } = bench.consume(broker, [dead]);
    const delivery = await grave.next();
    check.equal(textOf(delivery.message), "rejected", "the message in the dead letter queue");
    check.equal(delivery.redelivered, false, "redelivered, of a message that is new in its queue");
    await bench.ack(delivery);
    check.equal(await broker.count(queue), 0, "messages left in its queue");
  });
}
