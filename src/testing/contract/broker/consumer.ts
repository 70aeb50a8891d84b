/**
 * Contract: a consumer that is changed while it consumes, its sign of life, and its end.
 *
 * @module
 */
import type { Suite } from "../bench.ts";
import { textOf, textsOf } from "../letter.ts";

export function consumerTests({ subject: { features, routing = "amqp" }, check, test }: Suite): void {
  test("a larger prefetch lets more come at once", async (bench) => {
    const { consumer, reader } = await bench.filled(["1", "2", "3", "4", "5"], 1);
    const first = await reader.next();
    await consumer.setPrefetch(3);
    await reader.take(2);
    await bench.ack(first);
    await reader.next();
  });

  test("a smaller prefetch holds once the old window is settled", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled(
      ["1", "2", "3", "4", "5", "6", "7", "8"],
      3,
    );
    const held = await reader.take(3);
    await consumer.setPrefetch(1);
    await bench.ack(...held);
    let next = await reader.next();
    for (let left = 4; left >= 1; left--) {
      await bench.counts(broker, queue, left);
      await reader.quiet("with prefetch 1 and one held", 20);
      await bench.ack(next);
      next = await reader.next();
    }
    await bench.ack(next);
  });

  test("a queue that is added is consumed from then on", async (bench) => {
    const broker = await bench.broker();
    const [first, second] = [await bench.queue(broker), await bench.queue(broker)];
    await bench.publish(broker, second, ["waiting"]);
    const { consumer, reader } = bench.consume(broker, [first]);
    await bench.publish(broker, first, ["mine"]);
    const mine = await reader.next();
    check.equal(mine.queue, first, "the queue of the first delivery");
    await consumer.add(second);
    const added = await reader.next();
    check.equal(
      [added.queue, textOf(added.message)],
      [second, "waiting"],
      "queue and message that were added",
    );
    await bench.ack(mine, added);
  });

  test("adding a queue that was named already resolves when it is consumed", async (bench) => {
    const broker = await bench.broker();
    const queues = [await bench.queue(broker), await bench.queue(broker)];
    const { consumer } = bench.consume(broker, queues);
    await Promise.all(queues.map((queue) => consumer.add(queue)));
    check.ok(consumer.aliveAt > 0, "whether a message would have reached it");
  });

  test("adding a queue that is consumed already gives its messages once", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled([], 1);
    await consumer.add(queue);
    await bench.publish(broker, queue, ["1", "2"]);
    const delivery = await reader.next();
    await bench.counts(broker, queue, 1);
    await reader.quiet("with prefetch 1 and one held");
    await bench.ack(delivery);
    await bench.ack(await reader.next());
  });

  test("a queue that is removed is left alone, what came of it can still be settled", async (bench) => {
    const broker = await bench.broker();
    const [kept, removed] = [await bench.queue(broker), await bench.queue(broker)];
    const { consumer, reader } = bench.consume(broker, [kept, removed]);
    await bench.publish(broker, removed, ["before"]);
    const before = await reader.next();
    await consumer.remove(removed);
    await bench.publish(broker, removed, ["after"]);
    await bench.counts(broker, removed, 1);
    await bench.publish(broker, kept, ["mine"]);
    const mine = await reader.next();
    check.equal(textOf(mine.message), "mine", "the message of the queue that was kept");
    await bench.ack(before, mine);
    await consumer.stop();
    check.equal(await broker.count(removed), 1, "messages in the queue that was removed");
  });

  test("a removed queue gets back what was not yet read", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const consumer = broker.consume([queue], { prefetch: 5 });
    await bench.publish(broker, queue, ["1", "2"]);
    // Both came, and nobody reads them.
    await bench.counts(broker, queue, 0);
    await consumer.remove(queue);
    await bench.counts(broker, queue, 2);
  });

  test("after stop nothing more is yielded, and what was not read is back in its queue", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled(["1", "2", "3", "4"], 4);
    const first = await reader.next();
    await consumer.stop();
    await reader.ended();
    await bench.counts(broker, queue, 3);
    await bench.ack(first);
    const { reader: again } = bench.consume(broker, [queue], 4);
    const rest = await again.take(3);
    check.equal(textsOf(rest).sort(), ["2", "3", "4"], "what the next consumer gets");
    await bench.ack(...rest);
  });

  test("stop ends a waiting iteration, and stopping again does nothing", async (bench) => {
    const { consumer, reader } = await bench.filled([]);
    const waiting = reader.ask();
    await consumer.stop();
    check.equal((await waiting).done, true, "whether the iteration that waited is at its end");
    await consumer.stop();
    await reader.ended();
  });

  test("leaving the loop keeps the consumer, the next loop goes on where it ended", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3"]);
    const consumer = broker.consume([queue], { prefetch: 5 });
    const got: string[] = [];
    for (let round = 0; round < 3; round++) {
      for await (const delivery of consumer) {
        got.push(textOf(delivery.message));
        await delivery.settle({ as: "ack" });
        break;
      }
    }
    check.equal(got, ["1", "2", "3"], "what three loops got");
    await consumer.stop();
  });

  test("aliveAt is 0 before the first consume and a recent instant after a delivery", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled([]);
    check.equal(consumer.aliveAt, 0, "aliveAt before anything was asked");
    const before = bench.now;
    await bench.publish(broker, queue, ["1"]);
    await bench.ack(await reader.next());
    check.between(consumer.aliveAt, before, bench.now, "aliveAt after a delivery");
  });

  test("prefetch may be set to no bound, and back", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled(["1", "2", "3", "4", "5"], 1);
    await consumer.setPrefetch(0);
    const all = await reader.take(5);
    await consumer.setPrefetch(2);
    await bench.publish(broker, queue, ["6", "7", "8"]);
    await bench.ack(...all);
    const next = await reader.take(2);
    await bench.counts(broker, queue, 1);
    await reader.quiet("with prefetch 2 and two held");
    await bench.ack(...next);
    await bench.ack(await reader.next());
  });

  test("a consumer of no queue waits until one is added", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["waiting"]);
    const { consumer, reader } = bench.consume(broker, []);
    await reader.quiet("without a queue");
    await consumer.add(queue);
    const delivery = await reader.next();
    check.equal(textOf(delivery.message), "waiting", "the message of the queue that was added");
    await bench.ack(delivery);
  });

  test("a queue may be removed and added again, and removing one that it never had does nothing", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled([]);
    await consumer.remove(bench.name("queue"));
    for (const text of ["1", "2", "3"]) {
      await consumer.remove(queue);
      await bench.publish(broker, queue, [text]);
      await consumer.add(queue);
      const delivery = await reader.next();
      check.equal(textOf(delivery.message), text, "the message after the queue was added again");
      await bench.ack(delivery);
    }
  });

  test("what is settled of a queue before it was removed gives no room once it is added again", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled(["before"], 1);
    const before = await reader.next();
    await consumer.remove(queue);
    await consumer.add(queue);
    await bench.publish(broker, queue, ["1", "2"]);
    const first = await reader.next();
    await bench.ack(before);
    await reader.quiet("with prefetch 1 and one held");
    await bench.counts(broker, queue, 1);
    await bench.ack(first);
    await bench.ack(await reader.next());
  });

  test("adding to a consumer that was stopped rejects with a code", async (bench) => {
    const { queue, consumer } = await bench.filled([]);
    await consumer.stop();
    await check.coded(() => consumer.add(queue), "adding a queue after the stop");
  });

  // A broker without queue objects (Redis) simply waits for the first message.
  if (routing !== "amqp" || features.delivery !== "push") return;

  test("adding a queue that does not exist rejects with a code, and the others go on", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled([]);
    await check.coded(() => consumer.add(bench.name("queue")), "adding it");
    await bench.publish(broker, queue, ["goes on"]);
    const delivery = await reader.next();
    check.equal(textOf(delivery.message), "goes on", "the message of the queue that it has");
    await bench.ack(delivery);
  });
}
