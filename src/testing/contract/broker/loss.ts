/**
 * Contract: what happens to publishes, deliveries, consumers and subscriptions when the network goes.
 *
 * @module
 */
import type { Broker, BrokerEvent, Call, Entity, QueueEntity, Verdict } from "../../../broker.ts";
import { pause } from "../../wait.ts";
import type { Bench, Suite } from "../bench.ts";
import { show } from "../../difference.ts";
import { textOf } from "../letter.ts";
import type { BrokerSubject, LinkFaults } from "../subject.ts";

/** A subject whose network can be disturbed. */
export type FaultySubject = BrokerSubject & { readonly link: LinkFaults };

/** The kinds of verdicts. */
const kinds = (verdicts: readonly Verdict[]): string[] => verdicts.map(({ is }) => is);

/** A broker that has published, and its queue. */
async function used(bench: Bench): Promise<{ broker: Broker; queue: string }> {
  const broker = await bench.broker();
  const queue = await bench.queue(broker);
  await bench.publish(broker, queue, ["before"]);
  return { broker, queue };
}

/** What a broker must ask its server to declare, whatever it is. */
function declared(bench: Bench, queue: QueueEntity): readonly Entity[] {
  const exchange = bench.exchangeEntity("direct");
  return [exchange, queue, {
    kind: "binding",
    queue: queue.name,
    exchange: exchange.name,
    routingKey: "key",
  }];
}

/** Waits until a publish under way has left, on a link that is frozen: a later one is unknown only where it left, and the order holds. */
async function left(bench: Bench, broker: Broker, queue: string): Promise<void> {
  await bench.until(async () => {
    const verdicts = await broker.publish([bench.outgoing(queue, "probe")], { deadline: bench.now + 20 });
    return verdicts[0]?.is === "unknown";
  }, { what: "a publish that left" });
}

export function lossTests(suite: Suite<FaultySubject>): void {
  const { subject: { features, link, routing = "amqp" }, check, test } = suite;

  test("a broker publishes again after a cut", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.cut();
    await bench.publishAtLast(broker, queue, "after");
    const count = await broker.count(queue);
    check.ok(count >= 2, `expected the messages of before and after the cut, got ${count}`);
  });

  // A call that opens a link of its own gets nowhere on a frozen network: nothing left, so nothing is unknown.
  if (features.link === "shared") sharedLinkTests(suite);
  else {
    test("a publish on a network that is frozen is refused as not sent, by its deadline or its abort", async (bench) => {
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await link.freeze();
      const started = bench.elapsed;
      const [late] = await broker.publish([bench.outgoing(queue, "1")], { deadline: bench.now + 150 });
      check.has(late, { is: "refused", retry: true }, "the verdict at the deadline");
      check.between(bench.elapsed - started, 0, 3000, "ms until a verdict with a deadline of 150");
      const stopper = new AbortController();
      const pending = broker.publish([bench.outgoing(queue, "2")], { signal: stopper.signal });
      stopper.abort();
      check.has((await pending)[0], { is: "refused", retry: true }, "the verdict at the abort");
      await link.thaw();
      check.equal(await broker.count(queue), 0, "messages that were sent");
    });
  }

  test("a late answer of an abandoned publish does not settle the next one", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    await broker.publish([bench.outgoing(queue, "abandoned")], { deadline: bench.now + 100 });
    // With kombu a message to the default exchange makes its queue.
    const to = routing === "amqp"
      ? bench.name("queue")
      : { exchange: bench.name("exchange"), routingKey: "key" };
    const next = broker.publish([bench.outgoing(to, "lost")]);
    await link.thaw();
    check.equal(kinds(await next), [features.mustRoute ? "unroutable" : "confirmed"], "the next verdict");
  });

  test("a consumer goes on after a cut", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled([]);
    const sender = await bench.broker();
    await bench.publish(sender, queue, ["before"]);
    await (await reader.next()).settle({ as: "ack" });
    await link.cut();
    await bench.publishAtLast(sender, queue, "after");
    let delivery = await reader.next();
    // The ack of the first may have been lost with the link.
    if (textOf(delivery.message) === "before") {
      check.equal(delivery.redelivered, true, "redelivered, of a message that came before");
      await bench.ack(delivery);
      delivery = await reader.next();
    }
    check.equal(textOf(delivery.message), "after", "the message after the cut");
    await bench.ack(delivery);
    await consumer.stop();
    await broker.close();
  });

  test("a consumer keeps its prefetch and its queues over a cut", async (bench) => {
    const broker = await bench.broker();
    const sender = await bench.broker();
    const [first, second] = [await bench.queue(broker), await bench.queue(broker)];
    const { consumer, reader } = bench.consume(broker, [first], 4);
    await consumer.setPrefetch(1);
    await consumer.add(second);
    await link.cut();
    for (const queue of [first, second]) {
      await bench.publishAtLast(sender, queue, "1");
      await sender.publish([bench.outgoing(queue, "2")]);
    }
    const held = await reader.take(2);
    check.equal(held.map(({ queue }) => queue).sort(), [first, second].sort(), "the queues of what came");
    await bench.counts(sender, first, 1);
    await bench.counts(sender, second, 1);
    await reader.quiet("with prefetch 1 and one held of each queue");
  });

  test("an observer learns that a link went down and came up again", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const events: BrokerEvent[] = [];
    using _ = broker.observe((event) => events.push(event));
    const { reader } = bench.consume(broker, [queue]);
    await bench.publish(broker, queue, ["1"]);
    await bench.ack(await reader.next());
    await link.cut();
    const seen = (): string => show(events);
    const down = await bench.until(
      () => events.find((event) => event.is === "down" && event.link === "consume"),
      { what: "news of the loss", seen },
    );
    const told = down.is === "down" ? [down.error instanceof Error, typeof down.retryIn] : [];
    check.equal(told, [true, "number"], "whether it says why, and the ms until the next attempt");
    await bench.until(
      () => events.slice(events.indexOf(down)).some((event) => event.is === "up" && event.link === "consume"),
      { what: "news of the recovery", seen },
    );
  });

  if (features.subscribe) {
    test("a subscription hears again after a cut", async (bench) => {
      const broker = await bench.broker();
      const sender = await bench.broker();
      const queue = bench.name("reply");
      const subscription = broker.subscribe({ queue });
      await subscription.ready;
      await link.cut();
      let heard = "";
      const first = bench.reader(subscription).next().then((message) => heard = textOf(message));
      await bench.until(async () => {
        await sender.publish([{ ...bench.outgoing(queue, "hello"), mustRoute: false }]);
        return heard;
      }, { what: "a message after the cut", every: 50 });
      check.equal(await first, "hello", "what was heard after the cut");
      await subscription.close();
    });
  }

  test("prefetch, order and settlements are as ever after many cuts", async (bench) => {
    const { broker, queue, reader } = await bench.filled([], 1);
    const sender = await bench.broker();
    for (let round = 0; round < 5; round++) await link.cut();
    await bench.publishAtLast(sender, queue, "1");
    await bench.publish(sender, queue, ["2", "3"]);
    for (const [text, left] of [["1", 2], ["2", 1], ["3", 0]] as const) {
      const delivery = await reader.next();
      check.equal(textOf(delivery.message), text, "the next message");
      await bench.counts(sender, queue, left);
      await reader.quiet("with prefetch 1 and one held", 20);
      await bench.ack(delivery);
    }
    await broker.close();
    check.equal(await sender.count(queue), 0, "messages left");
  });

  test("stop and close after a cut come to their end, and nothing is told after a close", async (bench) => {
    const { broker, consumer, reader } = await bench.filled(["1"]);
    await reader.next();
    await link.cut();
    await consumer.stop();
    await reader.ended();
    await broker.close();
    const events = bench.events(broker);
    await pause(100);
    check.equal(events, [], "what was told after the close");
  });

  test("aliveAt stands still while nothing can arrive, and goes on afterwards", async (bench) => {
    const { broker, queue, consumer, reader } = await bench.filled(["1"]);
    const sender = await bench.broker();
    await bench.ack(await reader.next());
    await link.freeze();
    const frozen = bench.now;
    await pause(60);
    const { aliveAt } = consumer;
    check.between(aliveAt, 1, frozen, "aliveAt on a frozen network");
    await link.cut();
    await link.thaw();
    await bench.publishAtLast(sender, queue, "2");
    await bench.ack(await reader.next());
    check.between(consumer.aliveAt, frozen, bench.now, "aliveAt after it came back");
    await broker.close();
  });

  if (features.link === "shared" && routing === "amqp") {
    test("what was declared stands again after a cut, though it went with the link", async (bench) => {
      const broker = await bench.broker();
      const queue: QueueEntity = { ...bench.queueEntity(), durable: false, exclusive: true, arguments: {} };
      const exchange = bench.exchangeEntity("direct");
      const binding: Entity = {
        kind: "binding",
        queue: queue.name,
        exchange: exchange.name,
        routingKey: "key",
      };
      await broker.declare([exchange, queue, binding]);
      const { reader } = bench.consume(broker, [queue.name]);
      const to = { exchange: exchange.name, routingKey: "key" };
      await bench.publish(broker, to, ["before"]);
      await bench.ack(await reader.next());
      await link.cut();
      let heard = "";
      const next = reader.next().then((delivery) => {
        heard = textOf(delivery.message);
        return delivery;
      });
      await bench.until(async () => {
        await broker.publish([{ ...bench.outgoing(to, "after"), mustRoute: false }]);
        return heard;
      }, { what: "a message by the binding", every: 50 });
      check.equal(heard, "after", "the message after the cut");
      await bench.ack(await next);
    });
  }

  for (const what of ["connect", "declare"] as const) {
    test(`${what} on a frozen network rejects by its deadline with a code, by its abort with the reason`, async (bench) => {
      const { broker } = await used(bench);
      const queue = bench.queueEntity();
      await link.freeze();
      const fresh = features.link === "shared" ? await bench.broker() : broker;
      const call = (options: Call): unknown =>
        what === "connect" ? fresh.connect(options) : broker.declare(declared(bench, queue), options);
      const started = bench.elapsed;
      await check.coded(() => call({ deadline: bench.now + 150 }), "at the deadline");
      check.between(bench.elapsed - started, 100, 3000, "ms until a deadline of 150");
      const reason = new Error("no longer wanted");
      const stopper = new AbortController();
      const aborted = check.rejects(() => call({ signal: stopper.signal }), "at the abort");
      stopper.abort(reason);
      check.same(await aborted, reason, "its error");
      await link.thaw();
    });
  }

  test("a publish that declares settles by its deadline on a frozen network: with a code, or with a verdict that is no promise", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    const started = bench.elapsed;
    const declare = declared(bench, bench.queueEntity());
    const call = { declare, deadline: bench.now + 150 };
    const fate = broker.publish([bench.outgoing(queue, "no")], call).then(kinds, (error: unknown) => error);
    const word = await fate;
    check.between(bench.elapsed - started, 100, 3000, "ms until a deadline of 150");
    if (!Array.isArray(word)) await check.coded(() => Promise.reject(word), "its error");
    // Where one request declares and publishes, nobody knows.
    else {check.ok(
        word[0] === "unknown" || word[0] === "refused",
        `expected a verdict of doubt, got ${show(word)}`,
      );}
    await link.cut();
    await link.thaw();
  });

  test("close returns though nothing answers, by its deadline", async (bench) => {
    const { broker, reader } = await bench.filled(["1"]);
    await reader.next();
    await link.freeze();
    const started = bench.elapsed;
    await broker.close({ deadline: bench.now + 200 });
    check.between(bench.elapsed - started, 0, 3000, "ms that a close with a deadline of 200 took");
    await link.thaw();
  });

  test("close lets go at once when its signal is aborted, though nothing answers", async (bench) => {
    const { broker, reader } = await bench.filled(["1"]);
    await reader.next();
    await link.freeze();
    const stopper = new AbortController();
    const started = bench.elapsed;
    const closing = broker.close({ signal: stopper.signal });
    stopper.abort(new Error("no longer wanted"));
    await closing;
    check.between(bench.elapsed - started, 0, 3000, "ms that a close took until its abort");
    await link.thaw();
  });
}

function sharedLinkTests({ subject: { features, link }, check, test }: Suite<FaultySubject>): void {
  const fate = features.resends ? "is sent again and stands there once" : "is unknown";
  test(`a publish that got no answer before the cut ${fate}`, async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    const pending = broker.publish([bench.outgoing(queue, "1"), bench.outgoing(queue, "2")]);
    await left(bench, broker, queue);
    await link.cut();
    await link.thaw();
    const kind = features.resends ? "confirmed" : "unknown";
    check.equal(kinds(await pending), [kind, kind], "the verdicts");
    if (!features.resends) return;
    await bench.publish(broker, queue, ["last"]);
    const { reader } = bench.consume(broker, [queue], 0);
    const got: string[] = [];
    while (got.at(-1) !== "last") got.push(textOf((await reader.next()).message));
    check.equal(got.filter((text) => text === "1" || text === "2"), ["1", "2"], "what is there of the two");
  });

  test("a publish settles by its deadline as unknown when nothing answers", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    const started = bench.elapsed;
    const verdicts = await broker.publish([bench.outgoing(queue, "1")], { deadline: bench.now + 150 });
    check.equal(kinds(verdicts), ["unknown"], "the verdict");
    check.between(bench.elapsed - started, 100, 3000, "ms until a verdict with a deadline of 150");
  });

  test("a publish settles as unknown when its signal is aborted while nothing answers", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    const stopper = new AbortController();
    const pending = broker.publish([bench.outgoing(queue, "1")], { signal: stopper.signal });
    await left(bench, broker, queue);
    stopper.abort();
    check.equal(kinds(await pending), ["unknown"], "the verdict");
  });
}
