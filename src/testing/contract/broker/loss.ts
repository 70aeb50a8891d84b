/**
 * Contract: what happens to publishes, deliveries, consumers and subscriptions when the network goes.
 *
 * @module
 */
import type { Broker, BrokerEvent, Delivery, Verdict } from "../../../broker.ts";
import type { Bench, Suite } from "../bench.ts";
import { show } from "../../difference.ts";
import { textOf, textsOf } from "../letter.ts";
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

/** Waits until a publish under way has left, on a link that is frozen: a later one is unknown only where it left, and the order holds. */
async function left(bench: Bench, broker: Broker, queue: string): Promise<void> {
  await bench.until(async () => {
    const verdicts = await broker.publish([bench.outgoing(queue, "probe")], { deadline: bench.now + 20 });
    return verdicts[0]?.is === "unknown";
  }, { what: "a publish that left" });
}

/** Resolves when the delivery is told of its loss. */
function lost(delivery: Delivery | undefined): Promise<void> {
  return new Promise<void>((resolve) => delivery?.onLost(resolve));
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

  if (features.loss === "link") lostDeliveryTests(suite);

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

  test("close returns though nothing answers, by its deadline", async (bench) => {
    const { broker, reader } = await bench.filled(["1"]);
    await reader.next();
    await link.freeze();
    const started = bench.elapsed;
    await broker.close({ deadline: bench.now + 200 });
    check.between(bench.elapsed - started, 0, 3000, "ms that a close with a deadline of 200 took");
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

function lostDeliveryTests({ subject: { link }, check, test }: Suite<FaultySubject>): void {
  test("a delivery of a lost link is told, settles stale, and comes again", async (bench) => {
    const { reader } = await bench.filled(["again"]);
    const first = await reader.next();
    let told = 0;
    first.onLost(() => told++);
    await link.cut();
    await bench.until(() => told > 0, { what: "news of the loss" });
    check.equal(await first.settle({ as: "ack" }), "stale", "the word of an ack on a lost link");
    const second = await reader.next();
    check.equal([textOf(second.message), second.redelivered], ["again", true], "message and redelivered");
    await bench.ack(second);
    check.equal(told, 1, "times that the loss was told");
  });

  test("settling twice throws on a lost link as well", async (bench) => {
    const { reader } = await bench.filled(["again"]);
    const first = await reader.next();
    const loss = lost(first);
    await link.cut();
    await loss;
    await first.settle({ as: "ack" });
    await check.coded(() => first.settle({ as: "ack" }), "a second settlement");
    await bench.ack(await reader.next());
  });

  test("who asks for news of a loss afterwards is told at once", async (bench) => {
    const { reader } = await bench.filled(["1"]);
    const delivery = await reader.next();
    const loss = lost(delivery);
    await link.cut();
    await loss;
    let told = 0;
    delivery.onLost(() => told++);
    await bench.until(() => told === 1, { what: "news of the loss, once", seen: () => `${told} times` });
    await bench.ack(await reader.next());
  });

  test("neither a settled delivery nor a disposed listener is told of a loss", async (bench) => {
    const { reader } = await bench.filled(["settled", "disposed", "held"]);
    const [settled, disposed, held] = await reader.take(3);
    const told: string[] = [];
    settled?.onLost(() => told.push("settled"));
    await bench.ack(settled);
    disposed?.onLost(() => told.push("disposed"))[Symbol.dispose]();
    const loss = lost(held);
    await link.cut();
    await loss;
    check.equal(told, [], "who was told beside the one that is held");
  });

  test("deliveries that nobody read do not survive their link, they come again", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["1", "2", "3"], 3);
    const first = await reader.next();
    await bench.counts(broker, queue, 0);
    const loss = lost(first);
    await link.cut();
    await loss;
    const again = await reader.take(3);
    check.equal(textsOf(again), ["1", "2", "3"], "what came again");
    await bench.ack(...again);
    await bench.counts(broker, queue, 0);
  });
}
