/**
 * Consuming on a real RabbitMQ: settlements, windows, queues that go, inboxes.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Delivery } from "../../src/broker.ts";
import { textOf } from "../../src/testing/contract/letter.ts";
import { until } from "../support/wait.ts";
import { consuming, events, kinds, lost, Rig, take, task, times } from "./rig.ts";

const ACK = "60.80";

describe("settlements of one turn", () => {
  test("are one frame where every older delivery is acked", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    await rig.fill(queue, times(100, String));
    const broker = rig.broker();
    const consumer = broker.consume([queue], { prefetch: 100 });
    const deliveries = await take(consumer, 100);
    const frames = rig.record();
    for (const delivery of deliveries) void delivery.settle({ as: "ack" });
    await consumer.stop();
    expect(frames.filter(({ method }) => method === ACK)).toHaveLength(1);
    expect(await rig.count(queue)).toBe(0);
  });

  test("leave an older delivery alone that is not settled", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    await rig.fill(queue, times(10, String));
    const broker = rig.broker();
    const consumer = broker.consume([queue], { prefetch: 10 });
    const deliveries = await take(consumer, 10);
    const frames = rig.record();
    for (const at of [9, 5, 1, 0, 2]) void deliveries[at]?.settle({ as: "ack" });
    await consumer.stop();
    // 0, 1 and 2 in one, 5 and 9 each for itself.
    expect(frames.filter(({ method }) => method === ACK)).toHaveLength(3);
    await broker.close();
    await rig.counts(queue, 5);
    const left = await take(rig.direct.consume([queue], { prefetch: 5 }), 5);
    expect(left.map(({ message }) => textOf(message))).toEqual(["3", "4", "6", "7", "8"]);
  });

  test("in any order, kind and grouping do to each message what was asked, and never close the channel", async () => {
    await using rig = await Rig.start();
    const shapes = new Map<string, number>();
    const plan = fc.array(
      fc.record({
        how: fc.constantFrom("ack", "reject", "requeue", "hold"),
        rank: fc.nat(1000),
        turn: fc.boolean(),
      }),
      { minLength: 1, maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(plan, async (steps) => {
        const queue = await rig.queue();
        await rig.fill(queue, steps.map((_, at) => String(at)));
        const broker = rig.broker();
        const seen = events(broker);
        const consumer = broker.consume([queue], { prefetch: 0 });
        const deliveries = await take(consumer, steps.length);
        const order = steps.map((step, at) => ({ ...step, at })).sort((a, b) => a.rank - b.rank);
        const stopping: Promise<void>[] = [];
        // Before anything is requeued: what comes again is not what this test counts.
        stopping.push(consumer.stop());
        await stopping[0];
        for (const { how, at, turn } of order) {
          shapes.set(how, (shapes.get(how) ?? 0) + 1);
          if (how !== "hold") expect(await deliveries[at]?.settle({ as: how })).toBe("settled");
          if (turn) await new Promise((resolve) => setTimeout(resolve, 0));
        }
        await broker.close();
        expect(seen.filter(({ is }) => is !== "up")).toEqual([]);
        const back = steps.flatMap((
          { how },
          at,
        ) => (how === "requeue" || how === "hold" ? [String(at)] : []));
        await rig.counts(queue, back.length);
        if (back.length === 0) return;
        const left = rig.direct.consume([queue], { prefetch: 0 });
        const got = await take(left, back.length);
        expect(got.map(({ message }) => textOf(message)).sort()).toEqual(back.sort());
        expect(got.every(({ redelivered }) => redelivered)).toBe(true);
        for (const delivery of got) void delivery.settle({ as: "ack" });
        await left.stop();
      }),
      { numRuns: 30 },
    );
    console.log(`settled: ${[...shapes].map(([how, count]) => `${how} ${count}`).join(", ")}`);
  });

  test("a rejected message goes where the queue dead-letters", async () => {
    await using rig = await Rig.start();
    const grave = await rig.queue();
    const entity = rig.entity({
      arguments: { "x-expires": 120_000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave },
    });
    await rig.direct.declare([entity]);
    await rig.fill(entity.name, ["bad"]);
    const consumer = rig.broker().consume([entity.name], { prefetch: 1 });
    const [delivery] = await take(consumer, 1);
    await delivery?.settle({ as: "reject" });
    await rig.counts(grave, 1);
  });
});

test("a quorum queue tells how often a message was delivered before, a classic one does not", async () => {
  await using rig = await Rig.start();
  const quorum = rig.entity({ arguments: { "x-queue-type": "quorum", "x-expires": 120_000 } });
  const classic = rig.entity();
  await rig.direct.declare([quorum, classic]);
  for (
    const [queue, expected] of [[quorum.name, [undefined, 1, 2]], [classic.name, [
      undefined,
      undefined,
      undefined,
    ]]] as const
  ) {
    await rig.fill(queue, ["again and again"]);
    const consumer = rig.broker().consume([queue], { prefetch: 1 });
    const attempts: (number | undefined)[] = [];
    for await (const delivery of consumer) {
      attempts.push(delivery.attempts);
      expect(delivery.redelivered).toBe(attempts.length > 1);
      if (attempts.length === 3) break;
      await delivery.settle({ as: "requeue" });
    }
    expect(attempts).toEqual(expected);
  }
});

test("what nobody read counts as delivered once after a stop", async () => {
  await using rig = await Rig.start();
  const quorum = rig.entity({ arguments: { "x-queue-type": "quorum", "x-expires": 120_000 } });
  const other = rig.entity({ arguments: { "x-queue-type": "quorum", "x-expires": 120_000 } });
  await rig.direct.declare([quorum, other]);
  await rig.fill(quorum.name, times(50, String));
  await rig.fill(other.name, times(50, String));
  const consumer = rig.broker().consume([quorum.name, other.name], { prefetch: 40 });
  for (const { name } of [quorum, other]) await rig.counts(name, 10);
  const yielded = await take(consumer, 1);
  await consumer.stop();
  expect(await Promise.all(yielded.map((delivery) => delivery.settle({ as: "ack" })))).toEqual(["settled"]);
  for (const { name } of [quorum, other]) {
    const left = name === yielded[0]?.queue ? 49 : 50;
    await rig.counts(name, left);
    const again = rig.direct.consume([name], { prefetch: 0 });
    const attempts = (await take(again, left)).map((delivery) => delivery.attempts ?? 0);
    expect(attempts.filter((count) => count > 1)).toEqual([]);
    expect(attempts.filter((count) => count === 1)).toHaveLength(left - 10);
  }
});

test("a stop gives back what a cancelled consumer had brought, and yields nothing more", async () => {
  await using rig = await Rig.start();
  const broker = rig.broker({ topology: "leave" });
  const seen = events(broker);
  const gone = rig.entity();
  const kept = await rig.queue();
  await rig.direct.declare([gone]);
  await rig.fill(gone.name, ["1", "2"]);
  await rig.fill(kept, ["1", "2"]);
  const consumer = broker.consume([gone.name, kept], { prefetch: 5 });
  await rig.counts(gone.name, 0);
  await rig.counts(kept, 0);
  await remove(rig, gone.name);
  await until(() => seen.some(({ is }) => is === "down"), { what: "news of the cancel" });
  const frames = rig.record();
  const stopping = consumer.stop();
  expect(await take(consumer, 1)).toEqual([]);
  await stopping;
  await rig.counts(kept, 2);
  await until(() => frames.filter(({ method }) => method === "60.120").length === 4, {
    what: "four messages given back",
  });
});

describe("A26: the window", () => {
  test("may be changed at any moment, many times at once, and nothing is lost or doubled", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const broker = rig.broker();
    const seen = events(broker);
    const consumer = broker.consume([queue], { prefetch: 1 });
    await rig.fill(queue, times(500, String));
    const got: string[] = [];
    const changing = (async () => {
      for (let at = 0; at < 60; at++) {
        const change = consumer.setPrefetch(1 + ((at * 7) % 13));
        if (at % 3 === 0) await change;
        if (at % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    for await (const delivery of consumer) {
      expect(delivery.redelivered).toBe(false);
      got.push(textOf(delivery.message));
      await delivery.settle({ as: "ack" });
      if (got.length === 500) break;
    }
    await changing;
    await consumer.stop();
    expect(got.map(Number).sort((a, b) => a - b)).toEqual(times(500, (at) => at));
    expect(seen.filter(({ is }) => is !== "up")).toEqual([]);
  });

  test("over 65535 is no window, as AMQP counts in 16 bits", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    await rig.fill(queue, times(50, String));
    expect(await take(rig.broker().consume([queue], { prefetch: 65_537 }), 50)).toHaveLength(50);
  });

  test("is the same after 20 reconnects", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const broker = rig.broker();
    const consumer = broker.consume([queue], { prefetch: 9 });
    await consuming(consumer);
    await consumer.setPrefetch(3);
    await rig.fill(queue, times(10, String));
    for (let round = 0; round < 20; round++) {
      const deliveries = await take(consumer, 3);
      await rig.counts(queue, 7);
      rig.proxy.cut();
      await until(() => deliveries.every((delivery) => lost(delivery)), { what: "all lost" });
    }
    await rig.counts(queue, 7);
  });
});

describe("A15: a queue that is deleted under a consumer", () => {
  test("is declared and consumed again", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const seen = events(broker);
    const entity = rig.entity();
    await broker.declare([entity]);
    const consumer = broker.consume([entity.name], { prefetch: 5 });
    await consuming(consumer);
    for (let round = 0; round < 3; round++) {
      await remove(rig, entity.name);
      const started = Date.now();
      await until(
        async () => kinds(await rig.direct.publish([task(entity.name, `${round}`)]))[0] === "confirmed",
        {
          what: "the queue again",
        },
      );
      const [delivery] = await take(consumer, 1);
      expect(textOf((delivery as Delivery).message)).toBe(`${round}`);
      expect(Date.now() - started).toBeLessThan(5000);
      await delivery?.settle({ as: "ack" });
    }
    const codes = seen.flatMap((
      event,
    ) => (event.is === "down" ? [(event.error as { code?: string }).code] : []));
    expect(codes).toContain("consumer-cancelled");
  });

  test("leaves what was delivered before to be settled", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const seen = events(broker);
    const entity = rig.entity();
    await broker.declare([entity]);
    const consumer = broker.consume([entity.name], { prefetch: 5 });
    await rig.fill(entity.name, ["1", "2", "3"]);
    const held = await take(consumer, 3);
    await remove(rig, entity.name);
    await until(() => seen.some(({ is }) => is === "down"), { what: "news of the cancel" });
    expect(
      await Promise.all([
        held[0]?.settle({ as: "ack" }),
        held[1]?.settle({ as: "requeue" }),
        held[2]?.settle({ as: "reject" }),
      ]),
    ).toEqual(["settled", "settled", "settled"]);
    await consumer.stop();
    const codes = seen.flatMap((
      event,
    ) => (event.is === "down" ? [(event.error as { code?: string }).code] : []));
    expect(new Set(codes)).toEqual(new Set(["consumer-cancelled"]));
  });

  test("shows in its health while it is gone, and is consumed when somebody makes it again", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker({ topology: "leave" });
    const seen = events(broker);
    const entity = rig.entity();
    await rig.direct.declare([entity]);
    const consumer = broker.consume([entity.name], { prefetch: 5 });
    await consuming(consumer);
    const before = Date.now();
    await remove(rig, entity.name);
    await until(() => seen.filter((event) => event.is === "down").length >= 3, {
      what: "some failed attempts",
    });
    const alive = consumer.aliveAt;
    await until(() => Date.now() > alive + 50, { what: "time to pass" });
    expect(consumer.aliveAt).toBe(alive);
    // Up to the broker's own cancel a message would have come.
    expect(alive).toBeGreaterThanOrEqual(before);
    // The message that finds no queue makes that broker forget that it had declared it.
    expect(kinds(await rig.direct.publish([task(entity.name)]))).toEqual(["unroutable"]);
    await rig.direct.declare([entity]);
    await rig.fill(entity.name, ["back"]);
    const [delivery] = await take(consumer, 1);
    expect(textOf((delivery as Delivery).message)).toBe("back");
  });
});

/** Deletes a queue behind the adapter's back. */
async function remove(rig: Rig, queue: string): Promise<void> {
  const { AMQPClient } = await import("@cloudamqp/amqp-client");
  const client = new AMQPClient(rig.url);
  await client.connect();
  const channel = await client.channel();
  await channel.queueDelete(queue);
  await client.close();
}

describe("a subscription", () => {
  test("to a queue of another connection says so, tries again, and disturbs nobody", async () => {
    await using rig = await Rig.start();
    const [first, second] = [rig.broker(), rig.broker()];
    const queue = `node.celery.pidbox.${crypto.randomUUID()}`;
    const one = first.subscribe({ queue });
    await one.ready;
    const tasks = await rig.queue();
    const consumer = second.consume([tasks], { prefetch: 1 });
    await consuming(consumer);
    const seen = events(second);
    const two = second.subscribe({ queue });
    const locked = (): number =>
      seen.filter((event) =>
        event.is === "down" && (event.error as { code?: string }).code === "queue-locked"
      ).length;
    await until(() => locked() >= 3, { what: "news of the locked queue" });
    await rig.fill(tasks, ["still here"]);
    const [delivery] = await take(consumer, 1);
    await delivery?.settle({ as: "ack" });
    await one.close();
    await two.ready;
    expect(
      seen.some((event) => event.is === "down" && (event.error as { code?: string }).code !== "queue-locked"),
    ).toBe(false);
    expect(seen.find((event) => event.is === "down")).toMatchObject({ retryIn: expect.any(Number) });
    await two.close();
  });

  test("closed before it was ready rejects `ready` with a code", async () => {
    await using rig = await Rig.start();
    await rig.proxy.refuse(true);
    const subscription = rig.broker().subscribe({ queue: "never" });
    const ready = expect(subscription.ready).rejects.toMatchObject({ code: "subscription-closed" });
    await subscription.close();
    await ready;
  });
});

describe("the first consume", () => {
  test("of a missing queue ends the iteration, of a queue that is added rejects `add` alone", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const seen = events(broker);
    const queue = await rig.queue();
    const consumer = broker.consume([queue], { prefetch: 1 });
    await consuming(consumer);
    await expect(consumer.add("no.such.queue")).rejects.toMatchObject({ code: "queue-missing" });
    await rig.fill(queue, ["1"]);
    await take(consumer, 1);
    expect(seen.some(({ is }) => is === "fatal")).toBe(false);
    await expect(take(broker.consume(["no.such.queue"], { prefetch: 1 }), 1)).rejects.toMatchObject({
      code: "queue-missing",
    });
    expect(seen.some(({ is }) => is === "fatal")).toBe(true);
  });

  test("waits for a broker that is not there yet", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    await rig.proxy.refuse(true);
    const broker = rig.broker();
    const seen = events(broker);
    const consumer = broker.consume([queue], { prefetch: 1 });
    await until(() => seen.filter((event) => event.is === "down").length >= 3, {
      what: "some failed attempts",
    });
    expect(seen[0]).toMatchObject({
      is: "down",
      error: { code: "broker-unreachable" },
      retryIn: expect.any(Number),
    });
    await rig.proxy.refuse(false);
    await rig.fill(queue, ["1"]);
    await take(consumer, 1);
  });
});
