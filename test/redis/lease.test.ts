/** Leases: what is claimed is in one place at every moment, whoever dies, comes late or sweeps; with real kombu on the other side. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { redisBroker, type RedisBrokerOptions } from "../../adapters/redis/tcp.ts";
import { LinkCommands } from "../../adapters/redis/commands.ts";
import { LeaseKeys, tagOf } from "../../adapters/redis/lease/keys.ts";
import { LeaseStore } from "../../adapters/redis/lease/store.ts";
import { serverOf } from "../../adapters/redis/server.ts";
import type { Broker, Consumer, Delivery } from "../../src/broker.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { letter, textOf, textsOf } from "../../src/testing/contract/letter.ts";
import { Reader } from "../../src/testing/contract/reader.ts";
import { startProxy } from "../support/proxy.ts";
import { type Python, startPython } from "../support/python.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { listsOf } from "./kombu-reader.ts";
import { bareClient, placeOf, through } from "./setup.ts";

let server: PrivateServer;
let kombu: Python;
let redis: ReturnType<typeof bareClient>;

beforeAll(async () => {
  [server, kombu] = await Promise.all([startRedis(), startPython("kombu_redis.py")]);
  redis = bareClient(server.url);
});

afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
  await kombu?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const brokers: Broker[] = [];
const clean: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  await redis.flushall();
});

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close();
  for (const one of clean.splice(0)) await one();
});

function broker(options: RedisBrokerOptions = {}, url = server.url): Broker {
  const made = redisBroker(url, { reconnectMax: "100ms", ...options });
  brokers.push(made);
  return made;
}

/** The bare steps of a consumer that says nothing by itself: as if its process were stopped between any two of them. */
function silent(id: string, consumerTimeout = 120_000, url = server.url): LeaseStore {
  const { clock } = systemPlatform;
  const { subject, own } = serverOf("broker", "test", url, {}, clock);
  const limits = { connectTimeout: 2000, commandTimeout: 2000, longestPause: 50 };
  const commands = new LinkCommands({ ...limits, subject, platform: systemPlatform, open: own("test") });
  clean.push(() => commands.close());
  return new LeaseStore({ commands, keys: new LeaseKeys(), subject, clock }, { id, consumerTimeout });
}

function consume(from: Broker, queue = "q", prefetch = 10): { consumer: Consumer; inbox: Reader<Delivery> } {
  const consumer = from.consume([queue], { prefetch });
  return { consumer, inbox: new Reader(consumer, 10_000) };
}

async function publish(to: Broker, ...texts: readonly string[]): Promise<void> {
  const verdicts = await to.publish(
    texts.map((text) => ({
      message: letter(text),
      to: { exchange: "", routingKey: "q" },
      mustRoute: true,
    })),
  );
  expect(verdicts.map(({ is }) => is)).toEqual(texts.map(() => "confirmed"));
}

const claimedTexts = (claimed: readonly { readonly text: string }[]): string[] =>
  claimed.map(({ text }) => atob((JSON.parse(text) as { body: string }).body));

/** The bodies in a list, the next one first. */
async function listed(list = "q"): Promise<string[]> {
  return claimedTexts((await redis.lrange(list, 0, -1)).reverse().map((text) => ({ text })));
}

describe("a claim", () => {
  test("leaves each message in one place, under a tag of its own", async () => {
    await publish(broker(), "1", "2", "3");
    const { claimed, next } = await silent("me").claim([{ queue: "q", most: 2 }]);
    expect(claimedTexts(claimed)).toEqual(["1", "2"]);
    expect(next).toBe(3);
    expect(await listed()).toEqual(["3"]);
    expect(await redis.hlen("unacked")).toBe(2);
    expect(await redis.zrange("unacked_index", "0", "-1")).toEqual([tagOf("me", 1), tagOf("me", 2)]);
    const entry = await redis.hget("unacked", tagOf("me", 1));
    expect(JSON.parse(entry ?? "")).toEqual([JSON.parse(claimed[0]?.text ?? ""), "", "q"]);
  });

  test("whose answer was lost is given again with the next one, and nothing is claimed over it", async () => {
    await publish(broker(), "1", "2", "3");
    await using proxy = await startProxy(placeOf(server.url));
    const store = silent("me", 120_000, through(server.url, proxy.port));
    expect((await store.claim([])).claimed).toEqual([]);
    proxy.blackhole("down");
    const claiming = store.claim([{ queue: "q", most: 2 }]);
    await until(async () => await redis.hlen("unacked") === 2, { what: "the claim on the server" });
    proxy.cut();
    proxy.heal();
    expect(claimedTexts((await claiming).claimed)).toEqual(["1", "2"]);
    expect(await listed()).toEqual(["3"]);
    expect(claimedTexts((await store.claim([{ queue: "q", most: 2 }])).claimed)).toEqual(["3"]);
  });

  test("that comes late, after a later one, takes nothing", async () => {
    await publish(broker(), "1", "2");
    const [early, late] = [silent("me"), silent("me")];
    const first = await early.claim([{ queue: "q", most: 1 }]);
    const again = await late.claim([{ queue: "q", most: 1 }]);
    expect(claimedTexts(again.claimed)).toEqual(claimedTexts(first.claimed));
    expect(await redis.hlen("unacked")).toBe(1);
    expect(await listed()).toEqual(["2"]);
  });

  test("does not overwrite what was claimed before the beat was lost", async () => {
    await publish(broker(), "1", "2");
    await silent("me").claim([{ queue: "q", most: 1 }]);
    await redis.del("celeriac:beat:me");
    const { claimed, next } = await silent("me").claim([{ queue: "q", most: 1 }]);
    expect(claimedTexts(claimed)).toEqual(["1"]);
    expect(next).toBe(2);
    expect(await redis.hlen("unacked")).toBe(1);
  });

  test("goes on while the memory is full, a publish does not, and nothing is lost", async () => {
    const own = broker();
    await publish(own, "1", "2", "3");
    await redis.config("SET", "maxmemory", "1");
    try {
      const [refused] = await own.publish([
        { message: letter("4"), to: { exchange: "", routingKey: "q" }, mustRoute: true },
      ]);
      expect(refused).toMatchObject({ is: "refused", retry: true, reason: expect.stringContaining("OOM") });
      const { inbox } = consume(own, "q", 2);
      const [first, second] = await inbox.take(2);
      expect(await first?.settle({ as: "requeue" })).toBe("settled");
      expect(await second?.settle({ as: "park", until: Date.now() + 60_000 })).toBe("settled");
      expect(textsOf(await inbox.take(2))).toEqual(["1", "3"]);
    } finally {
      await redis.config("SET", "maxmemory", "0");
    }
    await own.close();
    expect(await listed()).toEqual(["1", "3"]);
    expect(await redis.hlen("unacked")).toBe(1);
  });

  test("leaves a list that is none alone and takes from the others", async () => {
    await redis.set("q", "a string");
    await redis.lpush("q\x06\x163", "garbage");
    const { claimed } = await silent("me").claim([{ queue: "q", most: 5 }]);
    expect(claimed).toMatchObject([{ step: 1, text: "garbage" }]);
  });
});

describe("A27: a lease that is lost", () => {
  test("is told, its settlement is stale and does nothing to the message that is somebody else's now", async () => {
    const own = broker({ consumerTimeout: "400ms" });
    await publish(own, "1");
    const { inbox } = consume(own);
    const first = await inbox.next();
    let told = 0;
    first.onLost(() => told++);
    await kombu.call("open", { name: "thief", url: server.url, options: { visibility_timeout: -60 } });
    // By its own clock everything is overdue.
    await kombu.call("restore", { name: "thief" });
    const second = await inbox.next();
    expect([textOf(second.message), second.redelivered]).toEqual(["1", true]);
    await until(() => told === 1, { what: "news of the loss" });
    expect(await first.settle({ as: "ack" })).toBe("stale");
    expect(await redis.hlen("unacked")).toBe(1);
    expect(await second.settle({ as: "ack" })).toBe("settled");
    expect(await redis.hlen("unacked")).toBe(0);
    await kombu.call("close", { name: "thief" });
  });

  test("is stale though the loss was not told yet, whatever the settlement", async () => {
    const own = broker();
    await publish(own, "1", "2", "3");
    const { consumer, inbox } = consume(own);
    const held = await inbox.take(3);
    await consumer.stop();
    await redis.del("unacked", "unacked_index");
    expect(await held[0]?.settle({ as: "ack" })).toBe("stale");
    expect(await held[1]?.settle({ as: "requeue" })).toBe("stale");
    expect(await held[2]?.settle({ as: "park", until: Date.now() + 1000 })).toBe("stale");
    expect(await redis.exists("q", "unacked", "celeriac:parked:q")).toBe(0);
  });

  test("is renewed while the consumer lives, so that nobody's sweep takes it", async () => {
    const own = broker({ consumerTimeout: "400ms" });
    await publish(own, "1");
    const { inbox } = consume(own);
    const delivery = await inbox.next();
    await kombu.call("open", { name: "peer", url: server.url, options: { visibility_timeout: 3600 } });
    const [tag = ""] = await redis.hkeys("unacked");
    // As if it had been held for two hours.
    const hours = Date.now() / 1000 - 7200;
    await redis.zadd("unacked_index", "XX", hours, tag);
    await until(async () => Number(await redis.zscore("unacked_index", tag)) > hours, { what: "a renewal" });
    await kombu.call("restore", { name: "peer" });
    await inbox.quiet("what is held");
    expect(await delivery.settle({ as: "ack" })).toBe("settled");
    await kombu.call("close", { name: "peer" });
  });
});

describe("what is left behind", () => {
  test("by a consumer of ours is put back by another one, to the front, in its order", async () => {
    const own = broker({ consumerTimeout: "400ms" });
    await publish(own, "1", "2", "3", "4");
    await silent("dead", 200).claim([{ queue: "q", most: 3 }]);
    const { inbox } = consume(own, "other");
    await until(async () => (await listed()).length === 4, { what: "the messages of the dead" });
    expect(await listed()).toEqual(["1", "2", "3", "4"]);
    await inbox.quiet("another queue");
    const flags = (await redis.lrange("q", 0, -1)).map((text) => {
      const { headers, properties } = JSON.parse(text);
      return [headers.redelivered, properties.delivery_info.redelivered];
    });
    expect(flags).toEqual([[undefined, undefined], [true, true], [true, true], [true, true]]);
    await until(async () => await redis.zscore("celeriac:fleet", "dead") === null, {
      what: "a fleet without it",
    });
    expect(await redis.hlen("unacked")).toBe(0);
  });

  test("by a consumer of ours is put back by kombu's sweep, into its queue alone, in its order", async () => {
    await kombu.call("open", { name: "peer", url: server.url, options: { visibility_timeout: 1 } });
    for (const queue of ["q", "twin"]) {
      await kombu.call("declare", { name: "peer", queue, exchange: "ex", routing_key: "key" });
    }
    for (const body of ["1", "2", "3"]) {
      await kombu.call("publish", { name: "peer", body, exchange: "ex", routing_key: "key" });
    }
    const { claimed } = await silent("dead").claim([{ queue: "q", most: 2 }]);
    expect(claimed).toHaveLength(2);
    await until(async () => {
      await kombu.call("restore", { name: "peer" });
      return await redis.llen("q") === 3;
    }, { what: "kombu's sweep", every: 100 });
    expect(await redis.llen("twin")).toBe(3);
    const got = [];
    for (let at = 0; at < 3; at++) got.push(await kombu.call("get", { name: "peer", queue: "q" }));
    expect(got).toMatchObject([
      { body: "1", redelivered: true },
      { body: "2", redelivered: true },
      { body: "3", redelivered: false },
    ]);
    await kombu.call("close", { name: "peer" });
  });

  test("by kombu is put back by us, flagged and by priority, after the visibility timeout", async () => {
    await kombu.call("open", { name: "dead", url: server.url });
    await kombu.call("declare", { name: "dead", queue: "q", exchange: "ex", routing_key: "key" });
    for (const [body, priority] of [["1", 0], ["2", 0], ["low", 9]] as const) {
      await kombu.call("publish", { name: "dead", body, exchange: "ex", routing_key: "key", priority });
    }
    for (let at = 0; at < 3; at++) await kombu.call("get", { name: "dead", queue: "q" });
    await kombu.call("abandon", { name: "dead" });
    expect([await redis.hlen("unacked"), await redis.llen("q")]).toEqual([3, 0]);
    const { inbox } = consume(broker({ visibilityTimeout: "400ms" }));
    const back = await inbox.take(3);
    expect(textsOf(back).map((text) => JSON.parse(text) as unknown)).toEqual(["1", "2", "low"]);
    expect(back.map(({ redelivered, route }) => [redelivered, route.priority])).toEqual([
      [true, 0],
      [true, 0],
      [true, 9],
    ]);
    for (const delivery of back) expect(await delivery.settle({ as: "ack" })).toBe("settled");
    expect(await redis.exists("unacked", "unacked_index")).toBe(0);
  });

  test("is kept where nobody is bound for it, which kombu would lose", async () => {
    await kombu.call("open", { name: "dead", url: server.url });
    await kombu.call("declare", { name: "dead", queue: "q", exchange: "ex", routing_key: "key" });
    await kombu.call("publish", { name: "dead", body: "1", exchange: "ex", routing_key: "key" });
    await kombu.call("get", { name: "dead", queue: "q" });
    await kombu.call("abandon", { name: "dead" });
    await redis.del("_kombu.binding.ex");
    const [tag = ""] = await redis.hkeys("unacked");
    const begun = Number(await redis.zscore("unacked_index", tag));
    const { inbox } = consume(broker({ visibilityTimeout: "200ms" }));
    await until(async () => Number(await redis.zscore("unacked_index", tag)) > begun, {
      what: "a lease for it",
    });
    await redis.sadd("_kombu.binding.ex", "key\x06\x16\x06\x16q");
    expect(textOf((await inbox.next()).message)).toBe('"1"');
  });
});

describe("what is parked", () => {
  test("is not put back early by kombu, whose visibility timeout is over", async () => {
    const own = broker();
    await publish(own, "1");
    const { consumer, inbox } = consume(own);
    const until_ = Date.now() + 1500;
    await (await inbox.next()).settle({ as: "park", until: until_ });
    await consumer.stop();
    await kombu.call("open", { name: "peer", url: server.url, options: { visibility_timeout: 1 } });
    // Every claim of now would be overdue for it.
    while (Date.now() < until_ + 500) {
      await kombu.call("restore", { name: "peer" });
      expect(await redis.hlen("unacked")).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // Where nobody of ours is there, kombu does it, late.
    await until(async () => {
      await kombu.call("restore", { name: "peer" });
      return await redis.llen("q") === 1;
    }, { what: "kombu's sweep", every: 100 });
    expect(Date.now()).toBeGreaterThanOrEqual(until_ + 1000);
    expect(await kombu.call("get", { name: "peer", queue: "q" })).toMatchObject({ redelivered: true });
    await kombu.call("close", { name: "peer" });
  });

  test("comes though the set that tells of it is gone, by its entry", async () => {
    const own = broker({ visibilityTimeout: "300ms" });
    await publish(own, "1");
    const { inbox } = consume(own);
    await (await inbox.next()).settle({ as: "park", until: Date.now() + 200 });
    await redis.del("celeriac:parked:q");
    const delivery = await inbox.next();
    expect([textOf(delivery.message), delivery.redelivered]).toEqual(["1", false]);
  });

  test("keeps its priority", async () => {
    const own = broker();
    const to = { exchange: "", routingKey: "q" };
    await own.publish([{ message: letter("1", { priority: 6 }), to, mustRoute: true }]);
    const { consumer, inbox } = consume(own);
    await (await inbox.next()).settle({ as: "park", until: Date.now() + 100 });
    const again = await inbox.next();
    expect(again.route.priority).toBe(6);
    await again.settle({ as: "requeue" });
    await consumer.stop();
    expect(await listed(listsOf("q")[2])).toEqual(["1"]);
  });
});

describe("what is given back", () => {
  test("stands in its order, by priority, at the front of its queue", async () => {
    const own = broker();
    const to = { exchange: "", routingKey: "q" };
    const sent: [string, number][] = [["a", 0], ["b", 3], ["c", 0], ["d", 9], ["e", 3], ["f", 0]];
    await own.publish(
      sent.map(([text, priority]) => ({ message: letter(text, { priority }), to, mustRoute: true })),
    );
    const { consumer, inbox } = consume(own, "q", 5);
    expect(textOf((await inbox.next()).message)).toBe("a");
    await until(async () => await redis.hlen("unacked") === 5, { what: "a full window" });
    await consumer.stop();
    expect(await Promise.all(listsOf("q").map(listed))).toEqual([["c", "f"], ["b", "e"], [], ["d"]]);
    await own.close();
    expect(await Promise.all(listsOf("q").map(listed))).toEqual([["a", "c", "f"], ["b", "e"], [], ["d"]]);
  });

  test("is the very bytes where it is no envelope", async () => {
    const bytes = Buffer.from([0x7b, 0xff, 0xfe, 0x22, 0x2c, 0x22, 0x22, 0x2c, 0x22, 0x71, 0x22, 0x5d, 0x00]);
    await redis.lpush("q", bytes);
    const own = broker();
    const { consumer, inbox } = consume(own);
    const delivery = await inbox.next();
    expect(delivery.message).toMatchObject({ headers: {}, properties: {}, contentType: "" });
    expect(delivery.redelivered).toBe(false);
    await delivery.settle({ as: "requeue" });
    await inbox.next();
    await consumer.stop();
    await own.close();
    expect((await redis.lrangeBuffer("q", 0, -1))[0]).toEqual(bytes);
  });

  test("keeps every value of its headers as it was written", async () => {
    const text = JSON.stringify({
      body: "e30=",
      "content-encoding": "utf-8",
      "content-type": "application/json",
      headers: { empty: {}, none: [], id: "BIG", float: "FLOAT", __proto__: null },
      properties: {
        delivery_info: { exchange: "", routing_key: "q" },
        delivery_tag: "t",
        body_encoding: "base64",
      },
    }).replace('"BIG"', "9223372036854775807123").replace('"FLOAT"', "1.0");
    await redis.lpush("q", text);
    const own = broker();
    const { inbox } = consume(own);
    await inbox.next();
    await own.close();
    const [back = ""] = await redis.lrange("q", 0, -1);
    expect(back).toContain('"id": 9223372036854775807123, "float": 1.0');
    expect(back).toContain('"empty": {}, "none": []');
    expect(JSON.parse(back)).toMatchObject({
      headers: { redelivered: true },
      properties: { delivery_info: { exchange: "", routing_key: "q", redelivered: true }, delivery_tag: "t" },
    });
  });
});

test("every key of our own expires, no shared one does", async () => {
  const own = broker();
  await own.declare([
    { kind: "exchange", name: "ex", type: "direct", durable: true, autoDelete: false },
    { kind: "binding", queue: "q", exchange: "ex", routingKey: "key" },
  ]);
  await publish(own, "1", "2", "3");
  const { inbox } = consume(own, "q", 2);
  const [first] = await inbox.take(2);
  await first?.settle({ as: "park", until: Date.now() + 60_000 });
  await inbox.next();
  await publish(own, "4");
  const keys = await redis.keys("*");
  const ttls = await Promise.all(keys.map(async (key) => [key, await redis.pttl(key)] as const));
  const ours = ttls.filter(([key]) => key.startsWith("celeriac:"));
  expect(ours.map(([key]) => key.split(":")[1])).toEqual(
    expect.arrayContaining(["beat", "fleet", "parked", "pub", "sweep"]),
  );
  expect(ours.filter(([, ttl]) => ttl < 0)).toEqual([]);
  expect(ttls.filter(([key, ttl]) => !key.startsWith("celeriac:") && ttl !== -1)).toEqual([]);
  expect(keys).toEqual(expect.arrayContaining(["_kombu.binding.ex", "q", "unacked", "unacked_index"]));
  await own.close();
  // Nothing of a consumer that left is waited for.
  expect((await redis.keys("celeriac:beat:*")).length).toBe(0);
  expect(await redis.exists("celeriac:fleet")).toBe(0);
});
