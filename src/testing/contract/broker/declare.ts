/**
 * Contract: the topology, and the sizes of queues.
 *
 * @module
 */
import type { Entity, QueueEntity } from "../../../broker.ts";
import type { Suite } from "../bench.ts";
import { textOf } from "../letter.ts";

export function declareTests(suite: Suite): void {
  const { subject, check, test } = suite;
  const { features, routing = "amqp" } = subject;

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
    const exchange = bench.exchangeEntity("direct");
    const binding: Entity = {
      kind: "binding",
      queue: queue.name,
      exchange: exchange.name,
      routingKey: "key",
    };
    await broker.declare([exchange, queue, binding]);
    await bench.publish(broker, { exchange: exchange.name, routingKey: "key" }, ["through"]);
    check.equal(await broker.count(queue.name), 1, "messages behind the binding");
  });

  test("what one broker object declared, another one of the same server sees", async (bench) => {
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(other, queue, ["seen"]);
    check.equal(await broker.count(queue), 1, "messages that another object published");
  });

  test("a declaration that is given up already rejects: with the signal's reason, or with a code", async (bench) => {
    const broker = await bench.broker();
    const reason = new Error("no longer wanted");
    const signal = AbortSignal.abort(reason);
    const declare = (call: object): unknown => broker.declare([bench.queueEntity()], call);
    check.same(await check.rejects(() => declare({ signal }), "an aborted declare"), reason, "its error");
    await check.coded(() => declare({ deadline: bench.now - 1 }), "a declare after its deadline");
    const entities = [bench.queueEntity()];
    await broker.declare(entities);
    const again = (): unknown => broker.declare(entities, { deadline: bench.now - 1 });
    await check.coded(again, "a declare after its deadline of what stands");
  });

  test("purge empties the queue and says how many went", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1", "2", "3"]);
    check.equal(await broker.purge(queue), 3, "messages purged of three");
    check.equal(await broker.count(queue), 0, "messages left");
    check.equal(await broker.purge(queue), 0, "messages purged of none");
  });

  if (features.priority !== "none") {
    test("purge empties a queue of messages of every priority", async (bench) => {
      const broker = await bench.broker();
      const most = features.priority === "high-first" ? { "x-max-priority": 9 } : {};
      const queue = await bench.queue(broker, most);
      await broker.publish([0, 3, 6, 9].map((priority) => bench.outgoing(queue, "1", { priority })));
      check.equal(await broker.purge(queue), 4, "messages purged of four");
      check.equal(await broker.count(queue), 0, "messages left");
    });
  }

  if (subject.consume === undefined) {
    test("count and purge leave alone what is being worked on", async (bench) => {
      const { broker, queue, consumer, reader } = await bench.filled(["held", "waiting"], 1);
      const held = await reader.next();
      await bench.counts(broker, queue, 1);
      check.equal(await broker.purge(queue), 1, "messages purged beside the one that is held");
      check.equal(await held.settle({ as: "requeue" }), "settled", "the requeue after the purge");
      const again = await reader.next();
      check.equal(textOf(again.message), "held", "the message that came back");
      await bench.ack(again);
      await consumer.stop();
    });
  }

  test("a queue that does not exist holds nothing and is purged of nothing", async (bench) => {
    const broker = await bench.broker();
    const name = bench.name("queue");
    check.equal(await broker.count(name), 0, "messages in a queue that does not exist");
    check.equal(await broker.purge(name), 0, "messages purged of a queue that does not exist");
    // Asking must not have made it.
    if (features.mustRoute && routing !== "kombu") {
      check.equal(await bench.exists(broker, name), false, "whether it exists");
    }
  });

  if (routing === "amqp" && features.mustRoute) entityTests(suite);
}

/** What queues and exchanges are, where the broker knows such things. */
function entityTests({ subject, check, test }: Suite): void {
  const { features } = subject;

  test("a queue declared with other arguments is refused by a code, and stays as it was", async (bench) => {
    const broker = await bench.broker();
    const queue = bench.queueEntity();
    await broker.declare([queue]);
    await bench.publish(broker, queue.name, ["kept"]);
    const other: QueueEntity = { ...queue, arguments: { ...queue.arguments, "x-max-priority": 5 } };
    await check.coded(() => broker.declare([other]), "declaring it with a priority", "topology-mismatch");
    await check.coded(
      () => broker.declare([{ ...queue, durable: false }]),
      "declaring it as transient",
      "topology-mismatch",
    );
    check.equal(await broker.count(queue.name), 1, "messages in the queue");
    await bench.publish(broker, queue.name, ["next"]);
  });

  test("what stands before a refused entity is declared, what stands behind it is not", async (bench) => {
    const broker = await bench.broker();
    const [before, refused, behind] = [bench.queueEntity(), bench.queueEntity(), bench.queueEntity()];
    await broker.declare([refused]);
    const list = [before, { ...refused, durable: false }, behind];
    await check.coded(() => broker.declare(list), "declaring the list", "topology-mismatch");
    const there = [await bench.exists(broker, before.name), await bench.exists(broker, behind.name)];
    check.equal(there, [true, false], "whether the one before and the one behind exist");
  });

  test("a binding to what does not exist is refused by a code", async (bench) => {
    const broker = await bench.broker();
    const queue = bench.queueEntity();
    const to = (name: string, exchange: string): Entity => ({
      kind: "binding",
      queue: name,
      exchange,
      routingKey: "k",
    });
    await check.coded(() => broker.declare([queue, to(queue.name, bench.name("exchange"))]), "no exchange");
    const exchange = bench.exchangeEntity("direct");
    await check.coded(() => broker.declare([exchange, to(bench.name("queue"), exchange.name)]), "no queue");
  });

  if (subject.consume !== undefined) return;

  test("an auto-delete queue goes with its last consumer, and an auto-delete exchange with its last binding", async (bench) => {
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue: QueueEntity = { ...bench.queueEntity(), durable: false, autoDelete: true, arguments: {} };
    const exchange = bench.exchangeEntity("direct");
    const binding: Entity = {
      kind: "binding",
      queue: queue.name,
      exchange: exchange.name,
      routingKey: "key",
    };
    await broker.declare([exchange, queue, binding]);
    const [one, two] = [bench.consume(broker, [queue.name]), bench.consume(other, [queue.name])];
    for (const { consumer } of [one, two]) {
      await bench.until(() => consumer.aliveAt > 0, { what: "a consumer of the queue" });
    }
    await one.consumer.stop();
    check.equal(await bench.exists(other, queue.name), true, "whether it exists with one consumer left");
    await two.consumer.stop();
    await bench.until(async () => !(await bench.exists(other, queue.name)), { what: "the end of the queue" });
    const to = { exchange: exchange.name, routingKey: "key" };
    const [verdict] = await other.publish([{ ...bench.outgoing(to, "lost"), mustRoute: false }]);
    check.has(verdict, { is: "refused", retry: false }, "the verdict of a publish to the exchange");
  });

  if (features.link !== "shared") return;

  test("an exclusive queue belongs to one link, and goes with it", async (bench) => {
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue: QueueEntity = { ...bench.queueEntity(), durable: false, exclusive: true, arguments: {} };
    await broker.declare([queue]);
    await bench.publish(broker, queue.name, ["mine"]);
    const { reader } = bench.consume(broker, [queue.name]);
    await bench.ack(await reader.next());
    await check.coded(() => other.count(queue.name), "counting another's exclusive queue");
    const { reader: theirs } = bench.consume(other, [queue.name]);
    await check.coded(() => theirs.next(), "consuming another's exclusive queue");
    await broker.close();
    check.equal(await bench.exists(other, queue.name), false, "whether it exists after the close");
  });
}
