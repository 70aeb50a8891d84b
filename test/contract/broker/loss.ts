/**
 * Contract: what happens to publishes, deliveries, consumers and subscriptions when the network goes.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Broker, BrokerEvent } from "../../../src/broker.ts";
import { until } from "../../support/wait.ts";
import { attempt, Bench, type BrokerSubject, type LinkFaults, textOf } from "../bench.ts";

export function exerciseLoss(subject: BrokerSubject & { readonly link: LinkFaults }): void {
  const { features, link } = subject;

  test("a broker publishes again after a cut", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["before"]);
    await link.cut();
    await until(async () => (await broker.publish([bench.outgoing(queue, "after")]))[0]?.is === "confirmed", {
      what: "a confirmed publish after the cut",
      deadline: bench.patience,
    });
    expect(await broker.count(queue)).toBeGreaterThanOrEqual(2);
  });

  // A call that opens a link of its own gets nowhere on a frozen network: nothing left, so nothing is unknown.
  if (features.link === "shared") {
    test("a publish that got no answer before the cut is unknown", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["before"]);
      await link.freeze();
      const pending = broker.publish([bench.outgoing(queue, "1"), bench.outgoing(queue, "2")]);
      await left(bench, broker, queue);
      await link.cut();
      await link.thaw();
      const verdicts = await pending;
      expect(verdicts.map((verdict) => verdict.is)).toEqual(["unknown", "unknown"]);
    });

    test("a publish settles by its deadline as unknown when nothing answers", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["before"]);
      await link.freeze();
      const started = performance.now();
      const verdicts = await broker.publish([bench.outgoing(queue, "1")], { deadline: Date.now() + 150 });
      expect(verdicts.map((verdict) => verdict.is)).toEqual(["unknown"]);
      expect(performance.now() - started).toBeGreaterThanOrEqual(100);
      expect(performance.now() - started).toBeLessThan(3000);
    });

    test("a publish settles as unknown when its signal is aborted while nothing answers", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["before"]);
      await link.freeze();
      const stopper = new AbortController();
      const pending = broker.publish([bench.outgoing(queue, "1")], { signal: stopper.signal });
      await left(bench, broker, queue);
      stopper.abort();
      expect((await pending).map((verdict) => verdict.is)).toEqual(["unknown"]);
    });
  } else {
    test("a publish on a network that is frozen is refused as not sent, by its deadline or its abort", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await link.freeze();
      const started = performance.now();
      const verdicts = await broker.publish([bench.outgoing(queue, "1")], { deadline: Date.now() + 150 });
      expect(verdicts).toMatchObject([{ is: "refused", retry: true }]);
      expect(performance.now() - started).toBeLessThan(3000);
      const stopper = new AbortController();
      const pending = broker.publish([bench.outgoing(queue, "2")], { signal: stopper.signal });
      stopper.abort();
      expect(await pending).toMatchObject([{ is: "refused", retry: true }]);
      await link.thaw();
      expect(await broker.count(queue)).toBe(0);
    });
  }

  test("a late answer of an abandoned publish does not settle the next one", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["before"]);
    await link.freeze();
    await broker.publish([bench.outgoing(queue, "abandoned")], { deadline: Date.now() + 100 });
    const next = broker.publish([{
      ...bench.outgoing(bench.name("queue"), "lost"),
      mustRoute: features.mustRoute,
    }]);
    await link.thaw();
    expect((await next)[0]?.is).toBe(features.mustRoute ? "unroutable" : "confirmed");
  });

  test("a consumer goes on after a cut", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const sender = await bench.broker();
    const queue = await bench.queue(broker);
    const { consumer, inbox } = bench.consume(broker, [queue]);
    await bench.publish(sender, queue, ["before"]);
    await (await inbox.next()).settle({ as: "ack" });
    await link.cut();
    await until(async () => (await sender.publish([bench.outgoing(queue, "after")]))[0]?.is === "confirmed", {
      what: "a confirmed publish after the cut",
      deadline: bench.patience,
    });
    let delivery = await inbox.next();
    // The ack of the first may have been lost with the link.
    if (textOf(delivery.message) === "before") {
      expect(delivery.redelivered).toBe(true);
      await delivery.settle({ as: "ack" });
      delivery = await inbox.next();
    }
    expect(textOf(delivery.message)).toBe("after");
    await delivery.settle({ as: "ack" });
    await consumer.stop();
  });

  test("a consumer keeps its prefetch and its queues over a cut", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const sender = await bench.broker();
    const [first, second] = [await bench.queue(broker), await bench.queue(broker)];
    const { consumer, inbox } = bench.consume(broker, [first], 4);
    await consumer.setPrefetch(1);
    await consumer.add(second);
    await link.cut();
    for (const queue of [first, second]) {
      await until(async () => (await sender.publish([bench.outgoing(queue, "1")]))[0]?.is === "confirmed", {
        what: "a confirmed publish after the cut",
        deadline: bench.patience,
      });
      await sender.publish([bench.outgoing(queue, "2")]);
    }
    const held = await inbox.take(2);
    expect(held.map((delivery) => delivery.queue).sort()).toEqual([first, second].sort());
    await bench.counts(sender, first, 1);
    await bench.counts(sender, second, 1);
    expect(await inbox.quiet()).toBe(true);
  });

  if (features.loss === "link") {
    test("a delivery of a lost link is told, settles stale, and comes again", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["again"]);
      const { inbox } = bench.consume(broker, [queue]);
      const first = await inbox.next();
      let told = 0;
      first.onLost(() => told++);
      await link.cut();
      await until(() => told > 0, { what: "news of the loss", deadline: bench.patience });
      expect(await first.settle({ as: "ack" })).toBe("stale");
      const second = await inbox.next();
      expect([textOf(second.message), second.redelivered]).toEqual(["again", true]);
      expect(await second.settle({ as: "ack" })).toBe("settled");
      expect(told).toBe(1);
    });

    test("settling twice throws on a lost link as well", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["again"]);
      const { inbox } = bench.consume(broker, [queue]);
      const first = await inbox.next();
      const lost = new Promise<void>((resolve) => first.onLost(resolve));
      await link.cut();
      await lost;
      await first.settle({ as: "ack" });
      await expect(attempt(() => first.settle({ as: "ack" }))).rejects.toThrow();
      await (await inbox.next()).settle({ as: "ack" });
    });

    test("who asks for news of a loss afterwards is told at once", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["1"]);
      const { inbox } = bench.consume(broker, [queue]);
      const delivery = await inbox.next();
      const lost = new Promise<void>((resolve) => delivery.onLost(resolve));
      await link.cut();
      await lost;
      let told = 0;
      delivery.onLost(() => told++);
      await until(() => told === 1, { what: "news of the loss", deadline: bench.patience });
      await (await inbox.next()).settle({ as: "ack" });
    });

    test("neither a settled delivery nor a disposed listener is told of a loss", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["settled", "disposed", "held"]);
      const { inbox } = bench.consume(broker, [queue]);
      const [settled, disposed, held] = await inbox.take(3);
      const told: string[] = [];
      settled?.onLost(() => told.push("settled"));
      await settled?.settle({ as: "ack" });
      disposed?.onLost(() => told.push("disposed"))[Symbol.dispose]();
      const lost = new Promise<void>((resolve) => held?.onLost(resolve));
      await link.cut();
      await lost;
      expect(told).toEqual([]);
    });

    test("deliveries that nobody read do not survive their link, they come again", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await bench.publish(broker, queue, ["1", "2", "3"]);
      const { inbox } = bench.consume(broker, [queue], 3);
      const first = await inbox.next();
      await bench.counts(broker, queue, 0);
      const lost = new Promise<void>((resolve) => first.onLost(resolve));
      await link.cut();
      await lost;
      const again = await inbox.take(3);
      expect(again.map((delivery) => textOf(delivery.message))).toEqual(["1", "2", "3"]);
      for (const delivery of again) expect(await delivery.settle({ as: "ack" })).toBe("settled");
      await bench.counts(broker, queue, 0);
    });
  }

  test("an observer learns that a link went down and came up again", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const events: BrokerEvent[] = [];
    using _ = broker.observe((event) => events.push(event));
    const { inbox } = bench.consume(broker, [queue]);
    await bench.publish(broker, queue, ["1"]);
    await (await inbox.next()).settle({ as: "ack" });
    await link.cut();
    const down = await until(() => events.find((event) => event.is === "down" && event.link === "consume"), {
      what: "news of the loss",
      deadline: bench.patience,
    });
    expect(down).toMatchObject({ error: expect.any(Error), retryIn: expect.any(Number) });
    await until(
      () => events.slice(events.indexOf(down)).some((event) => event.is === "up" && event.link === "consume"),
      {
        what: "news of the recovery",
        deadline: bench.patience,
      },
    );
  });

  if (features.subscribe) {
    test("a subscription hears again after a cut", async () => {
      await using bench = new Bench(subject);
      const broker = await bench.broker();
      const sender = await bench.broker();
      const queue = bench.name("reply");
      const subscription = broker.subscribe({ queue });
      await subscription.ready;
      await link.cut();
      const inbox = bench.inbox(subscription);
      let heard = false;
      const first = inbox.next().then((message) => {
        heard = true;
        return message;
      });
      await until(async () => {
        await sender.publish([{ ...bench.outgoing(queue, "hello"), mustRoute: false }]);
        return heard;
      }, { what: "a message after the cut", deadline: bench.patience, every: 50 });
      expect(textOf(await first)).toBe("hello");
      await subscription.close();
    });
  }

  test("close returns though nothing answers, by its deadline", async () => {
    await using bench = new Bench(subject);
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    await bench.publish(broker, queue, ["1"]);
    const { inbox } = bench.consume(broker, [queue]);
    await inbox.next();
    await link.freeze();
    await broker.close({ deadline: Date.now() + 200 });
    await link.thaw();
  });
}

/** Waits until a publish under way has left, on a link that is frozen: a later one is unknown only where it left, and the order holds. */
async function left(bench: Bench, broker: Broker, queue: string): Promise<void> {
  await until(async () => {
    const verdicts = await broker.publish([bench.outgoing(queue, "probe")], { deadline: Date.now() + 20 });
    return verdicts[0]?.is === "unknown";
  }, { what: "a publish that left", deadline: bench.patience });
}
