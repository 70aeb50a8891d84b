/**
 * Contract: what a broker says of itself, its topology, its queues' sizes, and its end.
 *
 * @module
 */
import type { BrokerEvent, Entity } from "../../../broker.ts";
import type { Suite } from "../bench.ts";
import { textOf } from "../letter.ts";

export function topologyTests({ subject, check, test }: Suite): void {
  const { features } = subject;

  test("a broker declares its features, its transport and an address without secrets", async (bench) => {
    const broker = await bench.broker();
    check.equal(broker.features, features, "the feature record");
    check.matches(broker.transport, /^[a-z]+$/, "the transport");
    check.ok(!/:[^/@*]+@/.test(broker.address), `a password in the address ${broker.address}`);
  });

  if (features.link === "shared") {
    test("connect opens the link once and may be called again", async (bench) => {
      const broker = await bench.broker();
      const events: BrokerEvent[] = [];
      using _ = broker.observe((event) => events.push(event));
      await broker.connect();
      const ups = events.filter((event) => event.is === "up").length;
      check.ok(ups > 0, "expected news of a link that is up, got none");
      await broker.connect();
      check.equal(events.filter((event) => event.is === "up").length, ups, "links up after connecting twice");
    });
  }

  test("an observer that was disposed hears nothing more", async (bench) => {
    const broker = await bench.broker();
    const events: BrokerEvent[] = [];
    broker.observe((event) => events.push(event))[Symbol.dispose]();
    await broker.connect();
    check.equal(events, [], "what a disposed observer heard");
  });

  test("declaring the same again changes nothing", async (bench) => {
    const broker = await bench.broker();
    const entity = bench.queueEntity();
    await broker.declare([entity]);
    await bench.publish(broker, entity.name, ["one"]);
    await broker.declare([entity]);
    check.equal(await broker.count(entity.name), 1, "messages after declaring again");
  });

  test("entities are declared in the given order", async (bench) => {
    const broker = await bench.broker();
    const queue = bench.queueEntity();
    const exchange = bench.name("exchange");
    const entities: Entity[] = [
      { kind: "exchange", name: exchange, type: "direct", durable: false, autoDelete: true },
      queue,
      { kind: "binding", queue: queue.name, exchange, routingKey: "key" },
    ];
    await broker.declare(entities);
    await bench.publish(broker, { exchange, routingKey: "key" }, ["through"]);
    check.equal(await broker.count(queue.name), 1, "messages behind the binding");
  });

  test("what one broker object declared, another one of the same server sees", async (bench) => {
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(other, queue, ["seen"]);
    check.equal(await broker.count(queue), 1, "messages that another object published");
  });

  test("a declaration whose signal is aborted already rejects with its reason", async (bench) => {
    const broker = await bench.broker();
    const reason = new Error("no longer wanted");
    const signal = AbortSignal.abort(reason);
    const error = await check.rejects(() => broker.declare([bench.queueEntity()], { signal }), "declare");
    check.same(error, reason, "the error of an aborted declare");
  });

  test("purge empties the queue and says how many went", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3"]);
    check.equal(await broker.purge(queue), 3, "messages purged of three");
    check.equal(await broker.count(queue), 0, "messages left");
    check.equal(await broker.purge(queue), 0, "messages purged of none");
  });

  if (subject.consume === undefined) {
    test("purge leaves alone what is being worked on", async (bench) => {
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["held", "waiting"]);
      const { consumer, reader } = bench.consume(broker, [queue], 1);
      const held = await reader.next();
      await bench.counts(broker, queue, 1);
      check.equal(await broker.purge(queue), 1, "messages purged beside the one that is held");
      check.equal(await held.settle({ as: "requeue" }), "settled", "the requeue after the purge");
      const again = await reader.next();
      check.equal(textOf(again.message), "held", "the message that came back");
      await again.settle({ as: "ack" });
      await consumer.stop();
    });
  }

  test("a queue that does not exist holds nothing and is purged of nothing", async (bench) => {
    const broker = await bench.broker();
    const name = bench.name("queue");
    check.equal(await broker.count(name), 0, "messages in a queue that does not exist");
    check.equal(await broker.purge(name), 0, "messages purged of a queue that does not exist");
    // Asking must not have made it.
    if (features.mustRoute && subject.routing !== "kombu") {
      const verdicts = await broker.publish([bench.outgoing(name, "lost")]);
      check.equal(verdicts, [{ is: "unroutable" }], "the verdict of a publish to it");
    }
  });

  test("close may be called twice, and the broker is usable again after it", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await broker.close();
    await broker.close();
    await bench.publish(broker, queue, ["after"]);
    check.equal(await broker.count(queue), 1, "messages published after the close");
  });

  test("closing a broker that was never used does nothing", async (bench) => {
    const broker = await bench.broker();
    await broker.close();
  });
}
