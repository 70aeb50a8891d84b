/**
 * The memory broker beyond the contract: its world, its time, its refusals, and that it leaves the process alone.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { FakeUnsupported, type MemoryBroker, memoryBroker, MemoryWorld } from "../../adapters/memory/mod.ts";
import type { BareCommand } from "../../adapters/memory/session.ts";
import { Session } from "../../adapters/memory/session.ts";
import type { BrokerEvent, Delivery, Entity, Message, Outgoing } from "../../src/broker.ts";
import { until } from "../support/wait.ts";
import { ManualClock, manualPlatform, quiet } from "./platform.ts";

function queue(name: string, more: Partial<Entity & { kind: "queue" }> = {}): Entity {
  return { kind: "queue", name, durable: true, exclusive: false, autoDelete: false, ...more };
}

function outgoing(
  routingKey: string,
  text = "x",
  more: Partial<Outgoing> & { message?: Message } = {},
): Outgoing {
  const message: Message = {
    headers: {},
    properties: { delivery_mode: 2 },
    contentType: "application/json",
    contentEncoding: "utf-8",
    body: new TextEncoder().encode(text),
  };
  return { message, to: { exchange: "", routingKey }, mustRoute: true, ...more };
}

async function take(source: AsyncIterable<Delivery>): Promise<Delivery> {
  const step = await source[Symbol.asyncIterator]().next();
  if (step.done === true) throw new Error("the iteration ended");
  return step.value;
}

/** Does what the contract has no word for, as somebody else's client. */
async function stranger(world: MemoryWorld, command: BareCommand): Promise<void> {
  const session = new Session(world, () => {});
  await session.channel().ask(command);
  await session.close();
}

describe("worlds", () => {
  test("each broker is a world of its own, unless one is given", async () => {
    const one = memoryBroker();
    await one.declare([queue("q")]);
    expect(await memoryBroker().publish([outgoing("q")])).toEqual([{ is: "unroutable" }]);
    expect(await memoryBroker({ world: one.world }).publish([outgoing("q")])).toEqual([{ is: "confirmed" }]);
    expect(await one.count("q")).toBe(1);
  });

  test("making a broker starts nothing", () => {
    const platform = manualPlatform();
    memoryBroker({ platform });
    expect(platform.clock.calls).toBe(0);
  });

  test("no timer of an idle broker holds the process", async () => {
    const platform = manualPlatform();
    const broker = memoryBroker({ platform });
    await broker.declare([queue("q", { arguments: { "x-message-ttl": 5000, "x-expires": 9000 } })]);
    await broker.publish([outgoing("q"), outgoing("q", "later", { notBefore: platform.clock.now() + 100 })], {
      deadline: platform.clock.now() + 1000,
    });
    const consumer = broker.consume(["q"], { prefetch: 1 });
    await take(consumer);
    expect(platform.clock.waiting.length).toBeGreaterThan(0);
    expect(platform.clock.waiting.filter(({ keepAlive }) => keepAlive)).toEqual([]);
  });

  test("messages, queues and parked messages live by the platform's time", async () => {
    const platform = manualPlatform();
    const { clock } = platform;
    const broker = memoryBroker({ platform });
    await broker.declare([queue("q", { arguments: { "x-message-ttl": 5000 } }), queue("p")]);
    await broker.publish([outgoing("q"), outgoing("p", "parked")]);
    const consumer = broker.consume(["p"], { prefetch: 1 });
    await (await take(consumer)).settle({ as: "park", until: clock.now() + 60_000 });
    await clock.advance(4999);
    expect(await broker.count("q")).toBe(1);
    await clock.advance(1);
    expect(await broker.count("q")).toBe(0);
    const next = take(consumer);
    await clock.advance(54_999);
    expect(await Promise.race([next, Promise.resolve("not yet")])).toBe("not yet");
    await clock.advance(1);
    expect(new TextDecoder().decode((await next).message.body)).toBe("parked");
  });

  test("a busy broker lets timers of the process have their turn", async () => {
    const broker = memoryBroker();
    await broker.declare([queue("q")]);
    let turns = 0;
    let going = true;
    const timer = setInterval(() => turns++, 1);
    const consumer = broker.consume(["q"], { prefetch: 1 });
    await broker.publish([outgoing("q", "0")]);
    const stopAt = performance.now() + 300;
    for await (const delivery of consumer) {
      await delivery.settle({ as: "ack" });
      if (performance.now() > stopAt) going = false;
      if (!going) break;
      await broker.publish([outgoing("q")]);
    }
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });
});

describe("copies", () => {
  test("nobody can change a message that somebody else gets", async () => {
    const broker = memoryBroker();
    await broker.declare([
      queue("a"),
      queue("b"),
      { kind: "exchange", name: "all", type: "fanout", durable: false, autoDelete: false },
      { kind: "binding", queue: "a", exchange: "all", routingKey: "" },
      { kind: "binding", queue: "b", exchange: "all", routingKey: "" },
    ]);
    const when = new Date(0);
    const message = {
      ...outgoing("").message,
      headers: { list: [{ deep: 1 }], bytes: new Uint8Array([1]), when },
    };
    await broker.publish([outgoing("", "", { message, to: { exchange: "all", routingKey: "" } })]);
    const spoil = ({ body, headers }: Message): void => {
      body.fill(0);
      const { list, bytes, when } = headers as { list: { deep: number }[]; bytes: Uint8Array; when: Date };
      for (const one of list) one.deep = 2;
      bytes[0] = 9;
      when.setTime(5);
    };
    const wanted = { list: [{ deep: 1 }], bytes: new Uint8Array([1]), when };
    const consumer = broker.consume(["a"], { prefetch: 1 });
    const first = await take(consumer);
    spoil(first.message);
    await first.settle({ as: "requeue" });
    const second = await take(consumer);
    expect(second.message.headers).toEqual(wanted);
    const other = await take(broker.consume(["b"], { prefetch: 1 }));
    expect([other.message.headers, other.message.body]).toEqual([wanted, second.message.body]);
  });

  test("a header named __proto__ is a header like others", async () => {
    const broker = memoryBroker();
    await broker.declare([queue("q")]);
    const headers = JSON.parse('{"__proto__": {"polluted": true}, "in": {"__proto__": 1}}') as Record<
      string,
      unknown
    >;
    await broker.publish([outgoing("q", "", { message: { ...outgoing("").message, headers } })]);
    const { message } = await take(broker.consume(["q"], { prefetch: 1 }));
    expect(JSON.stringify(message.headers)).toBe(JSON.stringify(headers));
    expect(Object.getPrototypeOf(message.headers)).toBe(Object.prototype);
    expect("polluted" in message.headers).toBe(false);
  });
});

describe("refusals", () => {
  test("a declaration that differs is refused with topology-mismatch, and the broker goes on", async () => {
    const broker = memoryBroker();
    await broker.declare([queue("q")]);
    await expect(broker.declare([queue("q", { durable: false })])).rejects.toMatchObject({
      name: "TopologyMismatchError",
      argument: "durable",
      have: "true",
      want: "false",
      code: "topology-mismatch",
    });
    expect(await broker.publish([outgoing("q")])).toEqual([{ is: "confirmed" }]);
  });

  test("what the fake does not know is refused with fake-unsupported, and the broker goes on", async () => {
    const broker = memoryBroker();
    const quorum = queue("q", { arguments: { "x-queue-type": "quorum" } });
    await expect(broker.declare([quorum])).rejects.toBeInstanceOf(FakeUnsupported);
    await expect(broker.declare([quorum])).rejects.toMatchObject({ code: "fake-unsupported" });
    await broker.declare([queue("q")]);
    const message = { ...outgoing("").message, headers: { CC: ["r"] } };
    const verdicts = await broker.publish([outgoing("q"), outgoing("q", "", { message }), outgoing("q")]);
    expect(verdicts.map((verdict) => verdict.is)).toEqual(["confirmed", "refused", "confirmed"]);
  });

  test("in a batch the one that the server refuses hurts no other", async () => {
    const broker = memoryBroker();
    await broker.declare([queue("q")]);
    const missing = { exchange: "missing", routingKey: "k" };
    const bad = { ...outgoing("").message, properties: { expiration: "soon" } };
    const verdicts = await broker.publish([
      outgoing("q", "1"),
      outgoing("", "2", { to: missing }),
      outgoing("q", "3"),
      outgoing("q", "4", { message: bad }),
      outgoing("nowhere", "5"),
      outgoing("q", "6"),
    ]);
    expect(verdicts.map((verdict) => verdict.is)).toEqual([
      "confirmed",
      "refused",
      "confirmed",
      "refused",
      "unroutable",
      "confirmed",
    ]);
    expect(verdicts[1]).toMatchObject({
      retry: false,
      reason: expect.stringContaining("no exchange 'missing'"),
    });
    expect(await broker.count("q")).toBe(3);
  });

  test("adding a queue that is not there is refused, and the consumer goes on", async () => {
    const broker = memoryBroker();
    await broker.declare([queue("q")]);
    const consumer = broker.consume(["q"], { prefetch: 1 });
    await expect(consumer.add("missing")).rejects.toMatchObject({ code: "queue-missing" });
    await broker.publish([outgoing("q")]);
    expect((await take(consumer)).queue).toBe("q");
  });
});

describe("what befalls a consumer", () => {
  async function consuming(
    broker: MemoryBroker,
  ): Promise<{ first: Delivery; consumer: ReturnType<MemoryBroker["consume"]> }> {
    await broker.declare([queue("q")]);
    await broker.publish([outgoing("q", "1")]);
    const consumer = broker.consume(["q"], { prefetch: 1 });
    return { first: await take(consumer), consumer };
  }

  test("a deleted queue is declared and consumed again, what is held can still be settled", async () => {
    const broker = memoryBroker();
    const { first, consumer } = await consuming(broker);
    const next = take(consumer);
    await stranger(broker.world, { do: "queue.delete", queue: "q" });
    await until(async () => (await broker.publish([outgoing("q", "2")]))[0]?.is === "confirmed", {
      what: "the queue",
    });
    expect(new TextDecoder().decode((await next).message.body)).toBe("2");
    expect(await first.settle({ as: "ack" })).toBe("settled");
  });

  test("a deleted queue that is not ours to declare ends the iteration with queue-missing", async () => {
    const world = new MemoryWorld();
    await memoryBroker({ world }).declare([queue("q")]);
    const consumer = memoryBroker({ world }).consume(["q"], { prefetch: 1 });
    const next = take(consumer);
    await until(() => consumer.aliveAt > 0, { what: "a consumer" });
    await stranger(world, { do: "queue.delete", queue: "q" });
    await expect(next).rejects.toMatchObject({ code: "queue-missing" });
    expect((await consumer[Symbol.asyncIterator]().next()).done).toBe(true);
  });

  test("a park that finds no queue fails, and the delivery can still be settled", async () => {
    const world = new MemoryWorld();
    await memoryBroker({ world }).declare([queue("q")]);
    const broker = memoryBroker({ world });
    await broker.publish([outgoing("q")]);
    const consumer = broker.consume(["q"], { prefetch: 1 });
    const delivery = await take(consumer);
    await consumer.remove("q");
    await stranger(world, { do: "queue.delete", queue: "q" });
    await expect(delivery.settle({ as: "park", until: Date.now() + 1000 })).rejects.toMatchObject({
      code: "park-failed",
    });
    expect(await delivery.settle({ as: "ack" })).toBe("settled");
  });

  test("an alarm keeps no broker from closing: what is not read is given up after five seconds", async () => {
    const platform = manualPlatform();
    const broker = memoryBroker({ platform });
    const events: BrokerEvent[] = [];
    broker.observe((event) => events.push(event));
    const { first } = await consuming(broker);
    broker.world.alarm("memory", true);
    const late = broker.publish([outgoing("q", "2")]);
    await until(() => events.some(({ is }) => is === "blocked"), { what: "news of the alarm" });
    // The other link is read.
    expect(await first.settle({ as: "ack" })).toBe("settled");
    const closing = broker.close();
    await platform.clock.advance(5000);
    await closing;
    expect(await late).toMatchObject([{ is: "unknown" }]);
    expect(broker.world.queues).toMatchObject([{ name: "q", ready: 0, unacked: 0 }]);
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 8, 10])(
    "closed %i microtasks after a cut it opens no link again and tells of none",
    async (turns) => {
      const broker = memoryBroker();
      await broker.declare([queue("q")]);
      const consumer = broker.consume(["q"], { prefetch: 1 });
      const heard = broker.subscribe({ queue: "inbox" });
      await Promise.all([consumer.add("q"), heard.ready]);
      await until(() => consumer.aliveAt > 0, { what: "a consumer" });
      broker.world.cut();
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const events: BrokerEvent[] = [];
      const closed = broker.close();
      broker.observe((event) => events.push(event));
      await closed;
      // A link that was opened all the same would have consumed by now.
      await memoryBroker({ world: broker.world }).count("q");
      expect(events).toEqual([]);
      expect(broker.world.queues).toMatchObject([{ name: "q", consumers: 0 }]);
    },
  );

  test.each([0, 1, 2, 3, 4, 5, 6, 8, 10])(
    "closed %i microtasks after questions were asked, with a cut and without one, it asks none again",
    async (turns) => {
      for (const isCut of [false, true]) {
        const broker = memoryBroker();
        const asked = [broker.declare(["a", "b", "c", "d"].map((name) => queue(name))), broker.count("a")];
        const answers = Promise.allSettled(asked);
        if (isCut) broker.world.cut();
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        const events: BrokerEvent[] = [];
        const closed = broker.close();
        broker.observe((event) => events.push(event));
        await closed;
        await answers;
        await memoryBroker({ world: broker.world }).count("a");
        expect(events).toEqual([]);
      }
    },
  );

  test("who adds a queue that another one is adding is told, too, that it is missing", async () => {
    const consumer = memoryBroker().consume([], { prefetch: 1 });
    const both = await Promise.allSettled([consumer.add("none"), consumer.add("none")]);
    const missing = expect.objectContaining({ code: "queue-missing" }) as unknown;
    expect(both).toEqual([1, 2].map(() => ({ status: "rejected", reason: missing })));
  });

  test("a close under an alarm tells that it is blocked no more", async () => {
    const broker = memoryBroker();
    const events: string[] = [];
    await broker.publish([outgoing("q")], { declare: [queue("q")] });
    broker.observe(({ is }) => events.push(is));
    broker.world.alarm("memory", true);
    const publishing = broker.publish([outgoing("q")]);
    await until(() => events.includes("blocked"), { what: "news of the alarm" });
    await broker.close({ deadline: 0 });
    broker.world.alarm("memory", false);
    await publishing;
    expect(events).toEqual(["blocked", "unblocked"]);
  });

  test("a link that is lost under an alarm is told to be blocked no more", async () => {
    const broker = memoryBroker();
    const events: string[] = [];
    await broker.declare([queue("q")]);
    await broker.publish([outgoing("q")]);
    broker.observe(({ is }) => events.push(is));
    broker.world.alarm("memory", true);
    void broker.publish([outgoing("q")]);
    await until(() => events.includes("blocked"), { what: "news of the alarm" });
    broker.world.cut();
    await until(() => events.includes("down"), { what: "news of the loss" });
    expect(events.filter((is) => is.endsWith("blocked"))).toEqual(["blocked", "unblocked"]);
    broker.world.alarm("memory", false);
  });

  test("a delivery held beyond the consumer timeout is lost and comes again", async () => {
    const platform = manualPlatform();
    const world = new MemoryWorld({ platform, limits: { consumerTimeout: 1000, channelTick: 100 } });
    const { first, consumer } = await consuming(memoryBroker({ world }));
    let lost = 0;
    first.onLost(() => lost++);
    await platform.clock.advance(1101);
    expect(lost).toBe(1);
    expect(await first.settle({ as: "ack" })).toBe("stale");
    const again = await take(consumer);
    expect(again.redelivered).toBe(true);
    expect(await again.settle({ as: "ack" })).toBe("settled");
  });

  test("after a restart the topology is there again, and the consumer goes on", async () => {
    const broker = memoryBroker();
    await broker.declare([
      queue("q", { durable: false }),
      { kind: "exchange", name: "x", type: "direct", durable: false, autoDelete: false },
      { kind: "binding", queue: "q", exchange: "x", routingKey: "k" },
    ]);
    const consumer = broker.consume(["q"], { prefetch: 1 });
    await broker.publish([outgoing("q", "1")]);
    await take(consumer);
    broker.world.restart();
    const next = take(consumer);
    await until(
      async () =>
        (await broker.publish([outgoing("", "2", { to: { exchange: "x", routingKey: "k" } })]))[0]?.is ===
          "confirmed",
      { what: "the topology" },
    );
    expect(new TextDecoder().decode((await next).message.body)).toBe("2");
  });

  test("aliveAt stands still while the network is frozen", async () => {
    const platform = manualPlatform();
    const world = new MemoryWorld({ platform });
    const broker = memoryBroker({ world });
    const { consumer } = await consuming(broker);
    expect(consumer.aliveAt).toBe(platform.clock.now());
    await platform.clock.advance(500);
    expect(consumer.aliveAt).toBe(platform.clock.now());
    const frozenAt = platform.clock.now();
    world.freeze();
    await platform.clock.advance(500);
    expect(consumer.aliveAt).toBe(frozenAt);
    world.thaw();
    expect(consumer.aliveAt).toBe(platform.clock.now());
  });

  test("settling while the broker closes is stale, and the message is back", async () => {
    const broker = memoryBroker();
    const { first } = await consuming(broker);
    const closing = broker.close();
    expect(await first.settle({ as: "ack" })).toBe("stale");
    await closing;
    expect(await broker.count("q")).toBe(1);
  });

  // Found by simulation: the channel of the settled delivery was closed too early, and the server closed the connection for what came on it.
  test("what is settled while a consumer stops hurts no delivery of another queue", async () => {
    for (let turns = 0; turns < 20; turns++) {
      const broker = memoryBroker();
      await broker.declare([queue("one"), queue("other")]);
      await broker.publish([outgoing("one"), outgoing("other")]);
      const consumer = broker.consume(["one", "other"], { prefetch: 1 });
      const held = [await take(consumer), await take(consumer)];
      const stopped = consumer.stop();
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      expect(await held[0]?.settle({ as: "ack" })).toBe("settled");
      await stopped;
      await quiet();
      expect(await held[1]?.settle({ as: "ack" }), `${turns} microtasks later`).toBe("settled");
      await broker.close();
    }
  });

  test("an add during a stop does not consume", async () => {
    const broker = memoryBroker();
    await broker.declare([queue("q"), queue("r")]);
    const consumer = broker.consume(["q"], { prefetch: 1 });
    const stopping = consumer.stop();
    await expect(consumer.add("r")).rejects.toMatchObject({ code: "consumer-stopped" });
    await stopping;
    await broker.publish([outgoing("r")]);
    await quiet();
    expect(await broker.count("r")).toBe(1);
  });
});

describe("alarms and frozen networks", () => {
  test("an alarm is told, and what was published meanwhile is confirmed after it", async () => {
    const broker = memoryBroker();
    await broker.declare([queue("q")]);
    const events: BrokerEvent[] = [];
    broker.observe((event) => events.push(event));
    broker.world.alarm("memory", true);
    const pending = broker.publish([outgoing("q")]);
    await until(() => events.some((event) => event.is === "blocked"), { what: "the word" });
    expect(await broker.publish([outgoing("q")], { deadline: Date.now() + 20 })).toMatchObject([{
      is: "unknown",
    }]);
    broker.world.alarm("memory", false);
    expect(await pending).toEqual([{ is: "confirmed" }]);
    expect(events.at(-1)).toEqual({ is: "unblocked" });
  });

  test("a close that runs out of time gives up, and what was held is back once the server learns of it", async () => {
    const broker = memoryBroker();
    await broker.declare([queue("q")]);
    await broker.publish([outgoing("q")]);
    await take(broker.consume(["q"], { prefetch: 1 }));
    const other = memoryBroker({ world: broker.world });
    expect(await other.count("q")).toBe(0);
    broker.world.freeze();
    await broker.close({ deadline: Date.now() + 20 });
    broker.world.thaw();
    expect(await other.count("q")).toBe(1);
  });

  test("connect waits for an answer, by its deadline", async () => {
    const broker = memoryBroker();
    broker.world.freeze();
    await expect(broker.connect({ deadline: Date.now() + 20 })).rejects.toMatchObject({
      code: "broker-timeout",
    });
    broker.world.thaw();
    await broker.connect();
  });

  test("what the server says while frozen arrives after it, in order", async () => {
    const clock = new ManualClock();
    const broker = memoryBroker({ platform: manualPlatform(clock) });
    await broker.declare([queue("q")]);
    const consumer = broker.consume(["q"], { prefetch: 0 });
    await broker.publish([
      outgoing("q", "1", { notBefore: clock.now() + 100 }),
      outgoing("q", "2", { notBefore: clock.now() + 200 }),
    ]);
    broker.world.freeze();
    await clock.advance(300);
    const next = take(consumer);
    expect(await Promise.race([next, quiet().then(() => "nothing")])).toBe("nothing");
    broker.world.thaw();
    expect(new TextDecoder().decode((await next).message.body)).toBe("1");
    expect(new TextDecoder().decode((await take(consumer)).message.body)).toBe("2");
  });
});
