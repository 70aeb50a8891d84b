/**
 * Contract: which queues a message reaches, by each kind of exchange.
 *
 * @module
 */
import type { Broker, Entity, ExchangeType } from "../../../broker.ts";
import type { Bench, Suite } from "../bench.ts";

function bindings(
  type: ExchangeType,
): { readonly keys: readonly string[]; readonly hit: string; readonly miss: string | undefined } {
  if (type === "direct") return { keys: ["a.b", "c"], hit: "a.b", miss: "a" };
  if (type === "topic") return { keys: ["log.*.error", "audit.#"], hit: "log.app.error", miss: "log.error" };
  return { keys: [""], hit: "anything", miss: undefined };
}

/** Keys of a topic, and whether "log.*.error" or "audit.#" takes them: in AMQP, and as kombu has it. */
const TOPIC_KEYS: readonly (readonly [key: string, amqp: boolean, kombu: boolean])[] = [
  ["audit", true, false],
  ["audit.x", true, true],
  ["audit.x.y", true, true],
  ["log.app.error", true, true],
  ["log..error", true, false],
  ["log.a.b.error", false, true],
  ["log.error", false, false],
  ["auditx", false, false],
  ["", false, false],
];

export function routeTests(suite: Suite): void {
  const { features, routing = "amqp" } = suite.subject;
  // Nobody can count what went to listeners.
  for (const type of features.exchanges.filter((type) => routing === "amqp" || type !== "fanout")) {
    exchangeTests(suite, type);
  }
}

function exchangeTests({ subject, check, test }: Suite, type: ExchangeType): void {
  const { features, routing = "amqp" } = subject;
  const { keys, hit, miss } = bindings(type);

  async function wired(
    bench: Bench,
  ): Promise<{ broker: Broker; exchange: string; queues: readonly [string, string] }> {
    const broker = await bench.broker();
    const exchange = bench.name("exchange");
    const entities: Entity[] = [{ kind: "exchange", name: exchange, type, durable: false, autoDelete: true }];
    const queues = [bench.queueEntity(), bench.queueEntity()] as const;
    for (const queue of queues) {
      entities.push(queue);
      for (const routingKey of keys) {
        entities.push({ kind: "binding", queue: queue.name, exchange, routingKey });
      }
    }
    await broker.declare(entities);
    return { broker, exchange, queues: [queues[0].name, queues[1].name] };
  }

  test(`by a ${type} exchange a message reaches each bound queue once`, async (bench) => {
    const { broker, exchange, queues } = await wired(bench);
    await bench.publish(broker, { exchange, routingKey: hit }, ["hit"]);
    const counts = [await broker.count(queues[0]), await broker.count(queues[1])];
    check.equal(counts, [1, 1], "messages in the two queues");
  });

  test(`a delivery says by which ${type} exchange and key it came, and from which queue`, async (bench) => {
    const { broker, exchange, queues } = await wired(bench);
    await bench.publish(broker, { exchange, routingKey: hit }, ["hit"]);
    const { reader } = bench.consume(broker, queues.slice(0, 1));
    const delivery = await reader.next();
    check.equal(delivery.queue, queues[0], "the queue");
    check.equal(delivery.route, { exchange, routingKey: hit, priority: 0 }, "the route");
    await delivery.settle({ as: "ack" });
  });

  if (miss !== undefined && features.mustRoute) {
    test(`a key that no binding of a ${type} exchange matches is unroutable`, async (bench) => {
      const { broker, exchange } = await wired(bench);
      const verdicts = await broker.publish([bench.outgoing({ exchange, routingKey: miss }, "miss")]);
      check.equal(verdicts, [{ is: "unroutable" }], "the verdict");
    });
  }

  if (type !== "topic") return;
  for (const [routingKey, amqp, kombu] of TOPIC_KEYS) {
    const reaches = routing === "amqp" ? amqp : kombu;
    test(`topic key ${JSON.stringify(routingKey)} ${reaches ? "reaches" : "does not reach"} the queue`, async (bench) => {
      const { broker, exchange, queues } = await wired(bench);
      await broker.publish([{ ...bench.outgoing({ exchange, routingKey }, "x"), mustRoute: false }]);
      check.equal(await broker.count(queues[0]), reaches ? 1 : 0, "messages in the queue");
    });
  }
}
