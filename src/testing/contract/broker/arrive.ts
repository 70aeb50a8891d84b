/**
 * Contract: what is published arrives once, in its order, as it was sent.
 *
 * @module
 */
import type { Message } from "../../../broker.ts";
import type { Suite } from "../bench.ts";
import { letter, textOf, textsOf } from "../letter.ts";

const HEADERS: Readonly<Record<string, unknown>> = {
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
};

const PROPERTIES: Readonly<Record<string, unknown>> = {
  correlation_id: "7d5c2c0e-5a5c-4a53-9b3c-6d6b1b1b1b1b",
  reply_to: "98e2d3a1-1111-3333-aaaa-ffffffffffff",
  delivery_mode: 2,
  priority: 3,
};

export function arriveTests({ subject: { features }, check, test }: Suite): void {
  const { mustRoute } = features;

  if (features.link === "shared") {
    test("publishes that nobody awaited in between arrive in the order of the calls", async (bench) => {
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      const texts = Array.from({ length: 50 }, (_, index) => String(index));
      await Promise.all(texts.map((text) => bench.publish(broker, queue, [text])));
      const { reader } = bench.consume(broker, [queue], 0);
      const deliveries = await reader.take(50);
      check.equal(textsOf(deliveries), texts, "the messages in their order");
      await bench.ack(...deliveries);
    });
  }

  test("many concurrent publishes are all confirmed, none is lost, none is doubled", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    // Where each call opens a link of its own, these are as many connections at once.
    const count = features.link === "call" ? 50 : 500;
    const texts = Array.from({ length: count }, (_, index) => String(index));
    const verdicts = await Promise.all(texts.map((text) => broker.publish([bench.outgoing(queue, text)])));
    check.equal(
      verdicts.flat().filter(({ is }) => is !== "confirmed"),
      [],
      "verdicts that are no confirmation",
    );
    const { reader } = bench.consume(broker, [queue], 0);
    const deliveries = await reader.take(count);
    const numbers = textsOf(deliveries).map(Number).sort((a, b) => a - b);
    check.equal(numbers, texts.map(Number), "the messages that came");
    for (const delivery of deliveries) await delivery.settle({ as: "ack" });
  });

  test("a batch arrives in its order", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const texts = Array.from({ length: 100 }, (_, index) => String(index));
    await bench.publish(broker, queue, texts);
    const { reader } = bench.consume(broker, [queue], 0);
    const deliveries = await reader.take(100);
    check.equal(textsOf(deliveries), texts, "the messages in their order");
    for (const delivery of deliveries) await delivery.settle({ as: "ack" });
  });

  test("headers, properties, content type, encoding and bytes arrive as they were sent", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const text = '[[1, 2], {"ü": "€"}, {}]';
    const message: Message = { ...letter(text), headers: HEADERS, properties: PROPERTIES };
    await broker.publish([{ message, to: { exchange: "", routingKey: queue }, mustRoute }]);
    const { reader } = bench.consume(broker, [queue]);
    const delivery = await reader.next();
    check.equal(delivery.message.headers, HEADERS, "the headers");
    check.has(delivery.message.properties, PROPERTIES, "the properties");
    check.equal(delivery.message.contentType, "application/json", "the content type");
    check.equal(delivery.message.contentEncoding, "utf-8", "the content encoding");
    check.equal(textOf(delivery.message), text, "the body");
    check.equal(delivery.route.priority, 3, "the priority");
    await delivery.settle({ as: "ack" });
  });

  for (const size of [0, 1, 4096, 131_072, 1_048_576]) {
    test(`a body of ${size} bytes arrives whole`, async (bench) => {
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      const body = new Uint8Array(size);
      for (let at = 0; at < size; at++) body[at] = (at * 31 + (at >> 8)) & 0xff;
      const binary = { contentType: "application/octet-stream", contentEncoding: "binary", body };
      const message = { ...letter(""), ...binary };
      const verdicts = await broker.publish([{
        message,
        to: { exchange: "", routingKey: queue },
        mustRoute,
      }]);
      check.equal(verdicts, [{ is: "confirmed" }], "the verdict");
      const { reader } = bench.consume(broker, [queue]);
      const delivery = await reader.next();
      check.equal(delivery.message.body.byteLength, size, "the size that came");
      const wrong = delivery.message.body.findIndex((byte, at) => byte !== body[at]);
      check.equal(wrong, -1, "the place of the first byte that is another");
      await delivery.settle({ as: "ack" });
    });
  }

  test("a body that is a part of a larger buffer arrives without its surroundings", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const message = { ...letter(""), body: new TextEncoder().encode("before[1, 2]after").subarray(6, 12) };
    await broker.publish([{ message, to: { exchange: "", routingKey: queue }, mustRoute }]);
    const { reader } = bench.consume(broker, [queue]);
    const delivery = await reader.next();
    check.equal(textOf(delivery.message), "[1, 2]", "the body");
    await bench.ack(delivery);
  });

  test("the sender may reuse its buffer and its headers once the verdict is there", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const headers: Record<string, unknown> = { stamps: { tenant: "before" } };
    const message = { ...letter("before"), headers };
    await broker.publish([{ message, to: { exchange: "", routingKey: queue }, mustRoute }]);
    message.body.fill(0);
    (headers["stamps"] as Record<string, unknown>)["tenant"] = "after";
    const { reader } = bench.consume(broker, [queue]);
    const delivery = await reader.next();
    check.equal(textOf(delivery.message), "before", "the body");
    check.equal(delivery.message.headers, { stamps: { tenant: "before" } }, "the headers");
    await delivery.settle({ as: "ack" });
  });
}
