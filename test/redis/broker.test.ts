/** The Redis broker in trouble, on servers of its own; and its channels beside real kombu. */
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisBroker, type RedisBrokerOptions } from "../../adapters/redis/tcp.ts";
import type { Broker, BrokerEvent, Consumer, Delivery } from "../../src/broker.ts";
import { letter, textOf, textsOf } from "../../src/testing/contract/letter.ts";
import { Reader } from "../../src/testing/contract/reader.ts";
import { type Python, startPython } from "../support/python.ts";
import { startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { ownRedis } from "./own-redis.ts";
import { through } from "./setup.ts";

const rig = ownRedis({ proxy: true });

function broker(options: RedisBrokerOptions = {}, url = through(rig.url, rig.proxy.port)): Broker {
  const made = redisBroker(url, { reconnectMax: "100ms", ...options });
  return rig.kept(made);
}

function consume(from: Broker, prefetch = 10): { consumer: Consumer; inbox: Reader<Delivery> } {
  const consumer = from.consume(["q"], { prefetch });
  return { consumer, inbox: new Reader(consumer, 10_000) };
}

async function publish(to: Broker, ...texts: readonly string[]): Promise<readonly string[]> {
  const verdicts = await to.publish(
    texts.map((text) => ({ message: letter(text), to: { exchange: "", routingKey: "q" }, mustRoute: true })),
  );
  return verdicts.map(({ is }) => is);
}

const direct = (): Broker => broker({}, rig.url);

describe("a server that is silent", () => {
  test("is noticed: aliveAt stands still, the link is given up, and messages come when it speaks again", async () => {
    const own = broker({ commandTimeout: "300ms" });
    const events: BrokerEvent[] = [];
    own.observe((event) => events.push(event));
    const { consumer, inbox } = consume(own);
    await until(() => consumer.aliveAt > 0, { what: "a first claim" });
    rig.proxy.blackhole("both");
    const lost = await until(() => events.find((event) => event.is === "down"), {
      what: "news of the silence",
    });
    expect(lost).toMatchObject({ link: "consume", error: { code: "broker-timeout" } });
    const alive = consumer.aliveAt;
    await publish(direct(), "1");
    await until(() => events.filter((event) => event.is === "down").length > 1, { what: "a second attempt" });
    expect(consumer.aliveAt).toBe(alive);
    rig.proxy.heal();
    expect(textOf((await inbox.next()).message)).toBe("1");
    expect(consumer.aliveAt).toBeGreaterThan(alive);
    expect(events.at(-1)).toEqual({ is: "up", link: "consume" });
  });

  test("has a settlement wait for it, which is carried out once", async () => {
    const own = broker({ commandTimeout: "200ms" });
    await publish(own, "1", "2");
    const { inbox } = consume(own);
    const [first, second] = await inbox.take(2) as [Delivery, Delivery];
    rig.proxy.blackhole("up");
    const fates = [first.settle({ as: "ack" }), second.settle({ as: "requeue" })];
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await rig.redis.hlen("unacked")).toBe(2);
    rig.proxy.heal();
    expect(await Promise.all(fates)).toEqual(["settled", "settled"]);
    const again = await inbox.next();
    expect([textOf(again.message), again.redelivered]).toEqual(["2", true]);
    expect(await rig.redis.hlen("unacked")).toBe(1);
  });

  test("does not make a settlement stale that it carried out before its answer was lost", async () => {
    const own = broker({ commandTimeout: "200ms" });
    await publish(own, "1");
    const { inbox } = consume(own);
    const delivery = await inbox.next();
    rig.proxy.blackhole("down");
    const fate = delivery.settle({ as: "ack" });
    await until(async () => await rig.redis.hlen("unacked") === 0, { what: "the ack on the server" });
    rig.proxy.heal();
    expect(await fate).toBe("settled");
  });

  test("has the link of a subscription given up and opened again, as a BRPOP has a deadline of ours", async () => {
    const own = broker({ commandTimeout: "300ms" });
    const subscription = own.subscribe({ queue: "inbox" });
    await subscription.ready;
    const heard = new Reader(subscription, 10_000);
    const say = (text: string): unknown =>
      direct().publish([{
        message: letter(text),
        to: { exchange: "", routingKey: "inbox" },
        mustRoute: true,
      }]);
    void say("1");
    expect(textOf(await heard.next())).toBe("1");
    // It alone has a link that it uses: each new one is its own.
    const { connections } = rig.proxy;
    rig.proxy.blackhole("both");
    await until(() => rig.proxy.connections > connections, { what: "another attempt" });
    rig.proxy.heal();
    void say("2");
    expect(textOf(await heard.next())).toBe("2");
  });

  test.each(["its abort", "its deadline"])(
    "has nothing open after a close that let go by %s, when it speaks again",
    async (by) => {
      const own = broker();
      await publish(own, "1");
      const { inbox } = consume(own);
      await inbox.next();
      const subscription = own.subscribe({ queue: "inbox" });
      await subscription.ready;
      await until(() => rig.proxy.live === 4, { what: "links to publish, consume, wake and listen" });
      rig.proxy.blackhole("both");
      const stopper = new AbortController();
      const closing = own.close(
        by === "its abort" ? { signal: stopper.signal } : { deadline: Date.now() + 200 },
      );
      stopper.abort();
      await closing;
      const { connections } = rig.proxy;
      // What was cut short would be taken up again about now.
      await new Promise((resolve) => setTimeout(resolve, 300));
      rig.proxy.heal();
      await until(() => rig.proxy.live === 0, { what: "no link", seen: () => `${rig.proxy.live} links` });
      expect(rig.proxy.connections).toBe(connections);
    },
  );

  test("does not hold up stop and close for longer than closeTimeout", async () => {
    const own = broker({ closeTimeout: "300ms" });
    await publish(own, "1", "2");
    const { consumer, inbox } = consume(own);
    const delivery = await inbox.next();
    rig.proxy.blackhole("both");
    const begun = performance.now();
    await consumer.stop();
    await own.close();
    expect(performance.now() - begun).toBeLessThan(3000);
    rig.proxy.heal();
    expect(await delivery.settle({ as: "ack" })).toBe("stale");
    expect(await rig.redis.hlen("unacked")).toBe(2);
  });
});

test("a server that is killed and comes back has its consumers and publishers back, and loses nothing", async () => {
  await using own = await startRedis();
  const made = broker({}, rig.url);
  const { inbox } = consume(made, 2);
  expect(await publish(made, "1", "2", "3")).toEqual(["confirmed", "confirmed", "confirmed"]);
  const held = await inbox.take(2);
  await own.kill9();
  const fates = held.map((delivery) => delivery.settle({ as: "ack" }));
  const publishing = publish(made, "4");
  await own.start();
  expect(await Promise.all(fates)).toEqual(["settled", "settled"]);
  expect(await publishing).toEqual(["confirmed"]);
  expect(textsOf(await inbox.take(2)).sort()).toEqual(["3", "4"]);
});

describe("a server that refuses", () => {
  test.each([
    ["a wrong password", "redis://:canary-wrong@"],
    ["no password", "redis://"],
  ])("%s ends consumer and connect with a coded error, and no secret", async (_what, user) => {
    await rig.redis.config("SET", "requirepass", "canary-right");
    try {
      const made = broker({}, rig.url.replace("redis://", user));
      const events: BrokerEvent[] = [];
      made.observe((event) => events.push(event));
      await expect(made.connect()).rejects.toMatchObject({ code: "broker-credentials-refused" });
      const { consumer, inbox } = consume(made);
      const error: unknown = await inbox.next().catch((met: unknown) => met);
      expect(error).toMatchObject({ code: "broker-credentials-refused" });
      await expect(consumer.add("other")).rejects.toMatchObject({ code: "consumer-stopped" });
      expect(events.filter((event) => event.is === "fatal")).toEqual([{ is: "fatal", error }]);
      const [verdict] = await made.publish([
        { message: letter("1"), to: { exchange: "", routingKey: "q" }, mustRoute: true },
      ]);
      expect(verdict).toMatchObject({ is: "refused", retry: false });
      expect(JSON.stringify([events, verdict, String(error)])).not.toContain("canary");
    } finally {
      await rig.redis.config("SET", "requirepass", "");
    }
  });

  test("a publish for good says so, one that may be repeated says that", async () => {
    await rig.redis.set("q", "a string");
    const [wrong] = await broker().publish([
      { message: letter("1"), to: { exchange: "", routingKey: "q" }, mustRoute: true },
    ]);
    expect(wrong).toMatchObject({
      is: "refused",
      retry: false,
      reason: expect.stringContaining("WRONGTYPE"),
    });
    const nobody = broker({ connectTimeout: "200ms" }, "redis://127.0.0.1:1/0");
    const [unsent] = await nobody.publish([
      { message: letter("1"), to: { exchange: "", routingKey: "q" }, mustRoute: true },
    ]);
    expect(unsent).toMatchObject({
      is: "refused",
      retry: true,
      reason: expect.stringContaining("cannot be reached"),
    });
  });

  test("to keep queues is told of, once", async () => {
    await rig.redis.config("SET", "maxmemory-policy", "allkeys-lru");
    try {
      const made = broker();
      const events: BrokerEvent[] = [];
      made.observe((event) => events.push(event));
      await made.connect();
      await publish(made, "1");
      await consume(made).inbox.next();
      expect(events.filter((event) => event.is === "warning")).toEqual([
        { is: "warning", code: "redis-eviction", reason: expect.stringContaining("allkeys-lru") },
      ]);
    } finally {
      await rig.redis.config("SET", "maxmemory-policy", "noeviction");
    }
  });

  test("to tell of changes has its queues looked at", async () => {
    await rig.redis.call(
      "ACL",
      "SETUSER",
      "poor",
      "on",
      ">p",
      "~*",
      "&*",
      "+@all",
      "-client|tracking",
      "-info",
    );
    const poor = broker({}, rig.url.replace("redis://", "redis://poor:p@"));
    await poor.connect();
    const { consumer, inbox } = consume(poor);
    await until(() => consumer.aliveAt > 0, { what: "a first claim" });
    for (const text of ["1", "2"]) {
      await publish(direct(), text);
      expect(textOf((await inbox.next()).message)).toBe(text);
    }
  });
});

test("a consumer at rest hears of a message without looking for it", async () => {
  const { consumer, inbox } = consume(direct());
  await until(async () => / flags=\S*t/.test(String(await rig.redis.client("LIST"))), { what: "tracking" });
  // It looks once a second then, and more often before.
  await until(async () => {
    const [before, alive] = [consumer.aliveAt, Date.now()];
    await until(() => consumer.aliveAt > before, { what: "another look" });
    return Date.now() - alive > 700;
  }, { what: "a consumer at rest" });
  const begun = performance.now();
  await publish(direct(), "1");
  await inbox.next();
  console.log(`heard after ${(performance.now() - begun).toFixed(1)} ms`);
  expect(performance.now() - begun).toBeLessThan(600);
});

test("an ioredis client of the program's own serves, and stays open", async () => {
  const own = new Redis(rig.url);
  const made = redisBroker(own);
  rig.kept(made);
  expect(made.address).toBe("a client of the program");
  expect(await publish(made, "1")).toEqual(["confirmed"]);
  const { inbox } = consume(made);
  expect(await (await inbox.next()).settle({ as: "ack" })).toBe("settled");
  const subscription = made.subscribe({
    queue: "inbox",
    exchange: { name: "x", type: "fanout", durable: false },
  });
  await subscription.ready;
  await made.publish([{ message: letter("2"), to: { exchange: "x", routingKey: "" }, mustRoute: true }]);
  expect(textOf(await new Reader(subscription, 5000).next())).toBe("2");
  await made.close();
  expect(await own.ping()).toBe("PONG");
  own.disconnect();
});

describe("channels", () => {
  let kombu: Python;

  beforeAll(async () => {
    kombu = await startPython("kombu_redis.py");
  });

  afterAll(async () => {
    await kombu?.[Symbol.asyncDispose]();
  });

  test("kombu's fanout messages are heard by the keys that kombu would subscribe to, each once", async () => {
    const exchange = { name: "celeryev", type: "fanout", durable: true } as const;
    const made = broker();
    const some = made.subscribe({
      queue: "some",
      exchange,
      routingKeys: ["task.#", "task.sent", "worker.*"],
    });
    const all = made.subscribe({ queue: "all", exchange, routingKeys: ["#"] });
    const plain = made.subscribe({ queue: "plain", exchange });
    await Promise.all([some.ready, all.ready, plain.ready]);
    await kombu.call("open", { name: "k", url: rig.url });
    await kombu.call("declare", {
      name: "k",
      queue: "x",
      exchange: "celeryev",
      type: "fanout",
      routing_key: "",
    });
    for (const [routing_key, body] of [["task.sent", "1"], ["worker.beat", "2"], ["other", "3"], ["", "4"]]) {
      await kombu.call("publish", { name: "k", body, exchange: "celeryev", routing_key });
    }
    const heard = async (
      from: AsyncIterable<Parameters<typeof textOf>[0]>,
      count: number,
    ): Promise<string[]> => {
      const inbox = new Reader(from, 5000);
      const got = (await inbox.take(count)).map(textOf);
      await inbox.quiet("what was told");
      return got;
    };
    expect(await heard(some, 2)).toEqual(['"1"', '"2"']);
    expect(await heard(all, 3)).toEqual(['"1"', '"2"', '"3"']);
    expect(await heard(plain, 1)).toEqual(['"4"']);
    await kombu.call("close", { name: "k" });
  });

  test("a private list bound to a direct exchange gets what kombu sends there, and is gone with its binding", async () => {
    const exchange = { name: "reply.celery.pidbox", type: "direct", durable: false } as const;
    const made = broker();
    const replies = made.subscribe({ queue: "me.reply.celery.pidbox", exchange, routingKeys: ["me"] });
    await replies.ready;
    expect(await rig.redis.smembers("_kombu.binding.reply.celery.pidbox")).toEqual([
      "me\x06\x16\x06\x16me.reply.celery.pidbox",
    ]);
    await kombu.call("open", { name: "k", url: rig.url });
    await kombu.call("publish", { name: "k", body: "pong", exchange: exchange.name, routing_key: "me" });
    expect(textOf(await new Reader(replies, 5000).next())).toBe('"pong"');
    await replies.close();
    expect(await rig.redis.exists("_kombu.binding.reply.celery.pidbox", "me.reply.celery.pidbox")).toBe(0);
    await kombu.call("close", { name: "k" });
  });
});
