/**
 * Contract: what a broker says of itself, its links and those who watch them, and its end.
 *
 * @module
 */
import type { BrokerEvent } from "../../../broker.ts";
import { pause } from "../../wait.ts";
import type { Suite } from "../bench.ts";
import { textOf } from "../letter.ts";

export function lifeTests(suite: Suite): void {
  const { subject, check, test } = suite;
  const { features } = subject;

  test("a broker declares its features, its transport and an address without secrets", async (bench) => {
    const broker = await bench.broker();
    check.equal(broker.features, features, "the feature record");
    check.matches(broker.transport, /^[a-z]+$/, "the transport");
    check.ok(!/:[^/@*]+@/.test(broker.address), `a password in the address ${broker.address}`);
  });

  test("making a broker opens nothing, its first call does", async (bench) => {
    const broker = await bench.broker();
    const events = bench.events(broker);
    // What opened a link when it was made would have it by the time that another one, made later, has its own.
    await (await bench.broker()).connect();
    await pause(20);
    check.equal(events, [], "news of links before the first call");
    await bench.queue(broker);
  });

  test("a connect that is given up already rejects: with the signal's reason, or with a code", async (bench) => {
    const broker = await bench.broker();
    const reason = new Error("no longer wanted");
    const signal = AbortSignal.abort(reason);
    for (const where of ["where there is no link", "where there is one"]) {
      const aborted = await check.rejects(() => broker.connect({ signal }), `an aborted connect ${where}`);
      check.same(aborted, reason, "its error");
      const late = (): Promise<unknown> => broker.connect({ deadline: bench.now - 1 });
      await check.coded(late, `a connect after its deadline ${where}`);
      await broker.connect();
    }
  });

  test("an observer that was disposed hears nothing more", async (bench) => {
    const broker = await bench.broker();
    const events: BrokerEvent[] = [];
    broker.observe((event) => events.push(event))[Symbol.dispose]();
    await broker.connect();
    if (subject.consume === undefined) {
      // A link for one call is no news, that of a consumer is.
      const { consumer } = bench.consume(broker, [await bench.queue(broker)]);
      await bench.until(() => consumer.aliveAt > 0, { what: "a first sign of life" });
    }
    check.equal(events, [], "what a disposed observer heard");
  });

  if (features.link === "shared") sharedLinkTests(suite);

  for (
    const type of (["direct", "topic", "fanout"] as const).filter((one) => !features.exchanges.includes(one))
  ) {
    test(`a ${type} exchange, which is not in the record, is refused with a code`, async (bench) => {
      const broker = await bench.broker();
      await check.coded(() => broker.declare([bench.exchangeEntity(type)]), "declaring it");
    });
  }

  if (!features.subscribe) {
    test("subscribing, which is not in the record, is refused with a code", async (bench) => {
      const broker = await bench.broker();
      await check.coded(() => broker.subscribe({ queue: bench.name("reply") }).ready, "subscribing");
    });
  }

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

  test("close waits for the publishes on their way", async (bench) => {
    const broker = await bench.broker();
    const other = await bench.broker();
    const queue = await bench.queue(broker);
    const publishing = broker.publish([bench.outgoing(queue, "1"), bench.outgoing(queue, "2")]);
    let settled = false;
    void publishing.then(() => settled = true);
    await broker.close();
    // A call that has a link of its own ends by itself.
    if (features.link === "shared") {
      check.equal(settled, true, "whether the publish had its verdicts at the close");
    }
    check.equal(await publishing, [{ is: "confirmed" }, { is: "confirmed" }], "the verdicts");
    check.equal(await other.count(queue), 2, "messages in the queue");
  });

  test("close with an aborted signal lets go without a word of complaint", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await broker.close({ signal: AbortSignal.abort(new Error("no longer wanted")) });
    await bench.publish(broker, queue, ["after"]);
  });

  if (subject.consume === undefined) consumingTests(suite);
  else {
    test("consuming, which it does not do, is refused with a code", async (bench) => {
      const broker = await bench.broker();
      await check.coded(() => broker.consume(["q"], { prefetch: 1 }), "consuming");
    });
  }
}

function sharedLinkTests({ check, test }: Suite): void {
  test("connect opens the link once and may be called again", async (bench) => {
    const broker = await bench.broker();
    const events = bench.events(broker);
    await broker.connect();
    const ups = events.filter((event) => event.is === "up").length;
    check.ok(ups > 0, "expected news of a link that is up, got none");
    await broker.connect();
    check.equal(events.filter((event) => event.is === "up").length, ups, "links up after connecting twice");
  });

  test("each observer is told, and one that observes twice is told twice until it stops once", async (bench) => {
    const broker = await bench.broker();
    const told: string[] = [];
    const twice = (event: BrokerEvent): void =>
      void (event.is === "up" && event.link === "publish" && told.push("twice"));
    broker.observe((event) => event.is === "up" && event.link === "publish" && told.push("once"));
    broker.observe(twice)[Symbol.dispose]();
    broker.observe(twice);
    await broker.connect();
    await bench.publish(broker, await bench.queue(broker), ["1"]);
    check.equal(told.sort(), ["once", "twice"], "who was told of the publishing link");
  });
}

function consumingTests({ subject: { features }, check, test }: Suite): void {
  test("closing the broker ends the iterations of its consumers, and tells what they hold that it is lost", async (bench) => {
    const { broker, reader } = await bench.filled(["held"]);
    const held = await reader.next();
    let told = 0;
    held.onLost(() => told++);
    await broker.close();
    await reader.ended();
    check.equal(told, 1, "times that the holder was told of the loss");
  });

  test("a broker that was closed consumes again", async (bench) => {
    const { broker, queue, reader } = await bench.filled([]);
    await broker.close();
    await reader.ended();
    const { reader: again } = bench.consume(broker, [queue]);
    await bench.publish(broker, queue, ["after"]);
    const delivery = await again.next();
    check.equal(textOf(delivery.message), "after", "the message");
    await bench.ack(delivery);
  });

  if (!features.subscribe) return;

  test("closing the broker ends its subscriptions, and it subscribes again", async (bench) => {
    const broker = await bench.broker();
    const subscription = broker.subscribe({ queue: bench.name("reply") });
    await subscription.ready;
    const reader = bench.reader(subscription);
    await broker.close();
    await reader.ended();
    const queue = bench.name("reply");
    const again = broker.subscribe({ queue });
    await again.ready;
    await bench.publish(broker, queue, ["after"]);
    check.equal(textOf(await bench.reader(again).next()), "after", "what was heard");
  });
}
