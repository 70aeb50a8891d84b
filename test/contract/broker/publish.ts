/**
 * Contract: what becomes of a published message, and that it arrives as it was sent.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Destination, Entity, ExchangeType, Message } from "../../../src/broker.ts";
import { Bench, type BrokerSubject, letter, textOf } from "../bench.ts";

/** Beyond it the limit is not tried, so that a test does not move hundreds of megabytes. */
const LARGEST_TRIED = 256 * 1024 * 1024;

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

export function exercisePublish(subject: BrokerSubject): void {
  const { features, routing = "amqp" } = subject;

  test("a published message is confirmed and waits in its queue", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    expect(await broker.publish([bench.outgoing(queue, "one")])).toEqual([{ is: "confirmed" }]);
    expect(await broker.count(queue)).toBe(1);
  });

  test("an empty batch has no verdicts", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    expect(await broker.publish([])).toEqual([]);
  });

  test("what an empty batch declares stands", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = bench.queueEntity();
    const exchange = bench.name("exchange");
    const declare: Entity[] = [
      { kind: "exchange", name: exchange, type: "direct", durable: false, autoDelete: true },
      queue,
      { kind: "binding", queue: queue.name, exchange, routingKey: "key" },
    ];
    expect(await broker.publish([], { declare })).toEqual([]);
    await bench.publish(broker, { exchange, routingKey: "key" }, ["through"]);
    expect(await broker.count(queue.name)).toBe(1);
  });

  test("what a publish declares stands before its messages, the second time too", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = bench.queueEntity();
    const exchange = bench.name("exchange");
    const declare: Entity[] = [
      { kind: "exchange", name: exchange, type: "direct", durable: false, autoDelete: true },
      queue,
      { kind: "binding", queue: queue.name, exchange, routingKey: "key" },
    ];
    for (const text of ["one", "two"]) {
      const outgoing = { ...bench.outgoing({ exchange, routingKey: "key" }, text), mustRoute: true };
      expect(await broker.publish([outgoing], { declare })).toEqual([{ is: "confirmed" }]);
    }
    expect(await broker.count(queue.name)).toBe(2);
  });

  test("a declaration that the broker refuses rejects the batch, and nothing is sent", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = bench.queueEntity();
    const type = features.exchanges.includes("topic") ? "topic" : "fanout";
    const exchange = {
      kind: "exchange",
      name: bench.name("exchange"),
      durable: false,
      autoDelete: false,
    } as const;
    await broker.declare([queue, { ...exchange, type: "direct" }]);
    const refused = broker.publish([bench.outgoing(queue.name, "no")], { declare: [{ ...exchange, type }] });
    await expect(refused).rejects.toMatchObject({ code: "topology-mismatch" });
    expect(await broker.count(queue.name)).toBe(0);
  });

  test("verdicts stand in the order of the batch", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const nowhere = bench.name("queue");
    const lost = features.mustRoute && routing === "amqp" ? "unroutable" : "confirmed";
    const verdicts = await broker.publish([
      bench.outgoing(queue, "1"),
      bench.outgoing(nowhere, "2"),
      bench.outgoing(queue, "3"),
      bench.outgoing(nowhere, "4"),
    ]);
    expect(verdicts.map((verdict) => verdict.is)).toEqual(["confirmed", lost, "confirmed", lost]);
    expect(await broker.count(queue)).toBe(2);
  });

  test("a message that need not be routed is confirmed though no queue takes it", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const outgoing = { ...bench.outgoing(bench.name("queue"), "lost"), mustRoute: false };
    expect(await broker.publish([outgoing])).toEqual([{ is: "confirmed" }]);
  });

  test("an exchange that does not exist gives no confirmation, and the broker goes on", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const nowhere: Destination = { exchange: bench.name("exchange"), routingKey: "key" };
    const [verdict] = await broker.publish([{ ...bench.outgoing(nowhere, "lost"), mustRoute: true }]);
    if (verdict?.is === "refused") expect(verdict.retry).toBe(false);
    else expect(verdict?.is).toBe("unroutable");
    await bench.publish(broker, queue, ["next"]);
    expect(await broker.count(queue)).toBe(1);
  });

  test("many concurrent publishes are all confirmed, none is lost, none is doubled", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    // Where each call opens a link of its own, these are as many connections at once.
    const count = features.link === "call" ? 50 : 500;
    const texts = Array.from({ length: count }, (_, index) => String(index));
    const verdicts = await Promise.all(texts.map((text) => broker.publish([bench.outgoing(queue, text)])));
    expect(verdicts.flat().filter((verdict) => verdict.is !== "confirmed")).toEqual([]);
    const { inbox } = bench.consume(broker, [queue], 0);
    const deliveries = await inbox.take(count);
    expect(deliveries.map((delivery) => Number(textOf(delivery.message))).sort((a, b) => a - b)).toEqual(
      texts.map(Number),
    );
    for (const delivery of deliveries) await delivery.settle({ as: "ack" });
  });

  test("a batch arrives in its order", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const texts = Array.from({ length: 100 }, (_, index) => String(index));
    await bench.publish(broker, queue, texts);
    const { inbox } = bench.consume(broker, [queue], 0);
    const deliveries = await inbox.take(100);
    expect(deliveries.map((delivery) => textOf(delivery.message))).toEqual(texts);
    for (const delivery of deliveries) await delivery.settle({ as: "ack" });
  });

  test("headers, properties, content type, encoding and bytes arrive as they were sent", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const message: Message = {
      headers: {
        lang: "py",
        task: "tasks.sum.consume_task",
        id: "7d5c2c0e-5a5c-4a53-9b3c-6d6b1b1b1b1b",
        eta: null,
        retries: 0,
        negative: -7,
        large: 4_000_000_000,
        fraction: 0.5,
        ignore_result: false,
        timelimit: [null, 30],
        stamps: { tenant: ["a", "b"], nested: { deep: { down: "ü€" } } },
        argsrepr: "('ü€😀',)",
        empty: {},
        none: [],
      },
      properties: {
        correlation_id: "7d5c2c0e-5a5c-4a53-9b3c-6d6b1b1b1b1b",
        reply_to: "98e2d3a1-1111-3333-aaaa-ffffffffffff",
        delivery_mode: 2,
        priority: 3,
      },
      contentType: "application/json",
      contentEncoding: "utf-8",
      body: new TextEncoder().encode('[[1, 2], {"ü": "€"}, {}]'),
    };
    await broker.publish([{
      message,
      to: { exchange: "", routingKey: queue },
      mustRoute: features.mustRoute,
    }]);
    const { inbox } = bench.consume(broker, [queue]);
    const delivery = await inbox.next();
    expect(delivery.message.headers).toEqual(message.headers);
    expect(delivery.message.properties).toMatchObject(message.properties);
    expect(delivery.message.contentType).toBe("application/json");
    expect(delivery.message.contentEncoding).toBe("utf-8");
    expect(new Uint8Array(delivery.message.body)).toEqual(message.body);
    expect(delivery.route.priority).toBe(3);
    await delivery.settle({ as: "ack" });
  });

  test.each([0, 1, 4096, 131_072, 1_048_576])("a body of %d bytes arrives whole", async (size) => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const body = new Uint8Array(size);
    for (let at = 0; at < size; at++) body[at] = (at * 31 + (at >> 8)) & 0xff;
    const message = {
      ...letter(""),
      contentType: "application/octet-stream",
      contentEncoding: "binary",
      body,
    };
    const [verdict] = await broker.publish([{
      message,
      to: { exchange: "", routingKey: queue },
      mustRoute: features.mustRoute,
    }]);
    expect(verdict).toEqual({ is: "confirmed" });
    const { inbox } = bench.consume(broker, [queue]);
    const delivery = await inbox.next();
    expect(delivery.message.body.byteLength).toBe(size);
    expect(delivery.message.body.every((byte, at) => byte === body[at])).toBe(true);
    await delivery.settle({ as: "ack" });
  });

  test("the sender may reuse its buffer and its headers once the verdict is there", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const headers: Record<string, unknown> = { stamps: { tenant: "before" } };
    const message = { ...letter("before"), headers };
    await broker.publish([{
      message,
      to: { exchange: "", routingKey: queue },
      mustRoute: features.mustRoute,
    }]);
    message.body.fill(0);
    (headers["stamps"] as Record<string, unknown>)["tenant"] = "after";
    const { inbox } = bench.consume(broker, [queue]);
    const delivery = await inbox.next();
    expect(textOf(delivery.message)).toBe("before");
    expect(delivery.message.headers).toEqual({ stamps: { tenant: "before" } });
    await delivery.settle({ as: "ack" });
  });

  if (features.maxMessage <= LARGEST_TRIED) {
    test("a body over the limit is refused for good, and its neighbours are not hurt", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      const large = { ...letter(""), body: new Uint8Array(features.maxMessage + 1) };
      const verdicts = await broker.publish([
        bench.outgoing(queue, "before"),
        { message: large, to: { exchange: "", routingKey: queue }, mustRoute: features.mustRoute },
        bench.outgoing(queue, "after"),
      ]);
      expect(verdicts.map((verdict) => verdict.is)).toEqual(["confirmed", "refused", "confirmed"]);
      expect(verdicts[1]).toMatchObject({ retry: false });
      expect(await broker.count(queue)).toBe(2);
    });
  }

  test("nothing is sent when the signal is aborted already", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const verdicts = await broker.publish([bench.outgoing(queue, "no")], { signal: AbortSignal.abort() });
    expect(verdicts.map((verdict) => verdict.is)).toEqual(["refused"]);
    await bench.publish(broker, queue, ["yes"]);
    expect(await broker.count(queue)).toBe(1);
  });

  test("nothing is sent when the deadline is over already", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const verdicts = await broker.publish([bench.outgoing(queue, "no")], { deadline: Date.now() - 1 });
    expect(verdicts.map((verdict) => verdict.is)).toEqual(["refused"]);
    await bench.publish(broker, queue, ["yes"]);
    expect(await broker.count(queue)).toBe(1);
  });

  // Nobody can count what went to listeners.
  const counted = features.exchanges.filter((type) => routing === "amqp" || type !== "fanout");
  describe.each(counted)("%s exchange", (type) => {
    async function wired(bench: Bench): Promise<
      { broker: Awaited<ReturnType<Bench["broker"]>>; exchange: string; queues: readonly string[] }
    > {
      const broker = await bench.broker();
      const exchange = bench.name("exchange");
      const entities: Entity[] = [{
        kind: "exchange",
        name: exchange,
        type,
        durable: false,
        autoDelete: true,
      }];
      const queues = [bench.queueEntity(), bench.queueEntity()];
      for (const queue of queues) {
        entities.push(queue);
        for (const routingKey of bindings(type).keys) {
          entities.push({ kind: "binding", queue: queue.name, exchange, routingKey });
        }
      }
      await broker.declare(entities);
      return { broker, exchange, queues: queues.map((queue) => queue.name) };
    }

    test("a message reaches each bound queue once", async () => {
      await using bench = new Bench(subject);
      const { broker, exchange, queues } = await wired(bench);
      await bench.publish(broker, { exchange, routingKey: bindings(type).hit }, ["hit"]);
      for (const queue of queues) expect(await broker.count(queue)).toBe(1);
    });

    test("the delivery says by which exchange and key it came, and from which queue", async () => {
      await using bench = new Bench(subject);
      const { broker, exchange, queues } = await wired(bench);
      const { hit } = bindings(type);
      await bench.publish(broker, { exchange, routingKey: hit }, ["hit"]);
      const { inbox } = bench.consume(broker, queues.slice(0, 1));
      const delivery = await inbox.next();
      expect(delivery.queue).toBe(queues[0]);
      expect(delivery.route).toEqual({ exchange, routingKey: hit, priority: 0 });
      await delivery.settle({ as: "ack" });
    });

    const { miss } = bindings(type);
    if (miss !== undefined && features.mustRoute) {
      test("a key that no binding matches is unroutable", async () => {
        await using bench = new Bench(subject);
        const { broker, exchange } = await wired(bench);
        expect(await broker.publish([bench.outgoing({ exchange, routingKey: miss }, "miss")])).toEqual([
          { is: "unroutable" },
        ]);
      });
    }

    if (type === "topic") {
      test.each(
        TOPIC_KEYS.map(([key, amqp, kombu]) => [key, routing === "amqp" ? amqp : kombu] as const),
      )("topic key %j reaches the queue: %s", async (routingKey, reaches) => {
        await using bench = new Bench(subject);
        const { broker, exchange, queues } = await wired(bench);
        await broker.publish([{ ...bench.outgoing({ exchange, routingKey }, "x"), mustRoute: false }]);
        expect(await broker.count(queues[0] ?? "")).toBe(reaches ? 1 : 0);
      });
    }
  });
}
