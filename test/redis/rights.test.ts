/** Queues that a Redis user may not touch (ACL): they are told of and left alone, and stop no other. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { upstashBroker } from "../../adapters/redis/http.ts";
import { Taps } from "../../adapters/redis/lease/taps.ts";
import { LeaseKeys } from "../../adapters/redis/lease/keys.ts";
import { redisBroker } from "../../adapters/redis/tcp.ts";
import type { Broker, BrokerEvent, Consumer, Delivery, Outgoing } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { letter, textOf, textsOf } from "../../src/testing/contract/letter.ts";
import { Reader } from "../../src/testing/contract/reader.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { bareClient } from "./setup.ts";

let server: PrivateServer;
let gateway: PrivateGateway;
let redis: ReturnType<typeof bareClient>;
const brokers: Broker[] = [];

const REFUSED = expect.objectContaining({
  name: "ConfigurationError",
  code: "topology-refused",
  message: expect.stringContaining("the queue bad"),
});

beforeAll(async () => {
  server = await startRedis();
  redis = bareClient(server.url);
  await allow();
  gateway = await startGateway({ redis: as("worker") });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await redis.flushall();
  await allow("~good*", "~celeriac:parked:good*");
});

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close();
});

/** What the worker's user may touch, from now on, besides what all have in common. */
async function allow(...rules: readonly string[]): Promise<void> {
  const common = ["~unacked*", "~celeriac:beat:*", "~celeriac:fleet", "~celeriac:sweep:*"];
  await redis.call(
    "ACL",
    "SETUSER",
    "worker",
    "on",
    ">secret",
    "resetkeys",
    "&*",
    "+@all",
    ...common,
    ...rules,
  );
}

function as(user: string): string {
  const url = new URL(server.url);
  url.username = user;
  url.password = "secret";
  return url.href;
}

function kept<B extends Broker>(broker: B): B {
  brokers.push(broker);
  return broker;
}

function send(queue: string, text: string): Promise<unknown> {
  const one: Outgoing = { message: letter(text), to: { exchange: "", routingKey: queue }, mustRoute: true };
  return kept(redisBroker(server.url)).publish([one]);
}

async function ack(reader: Reader<Delivery>): Promise<string> {
  const delivery = await reader.next();
  expect(await delivery.settle({ as: "ack" })).toBe("settled");
  return textOf(delivery.message);
}

const BROKERS: readonly (readonly [string, () => Broker])[] = [
  ["over TCP", () => kept(redisBroker(as("worker")))],
  ["over HTTP", () => kept(upstashBroker({ url: gateway.url, token: gateway.token, pollInterval: "50ms" }))],
];

describe.each(BROKERS)("a queue that the user may not touch, %s", (_how, make) => {
  function setUp(queues: readonly string[]): { consumer: Consumer; events: BrokerEvent[] } {
    const broker = make();
    const events: BrokerEvent[] = [];
    broker.observe((event) => void events.push(event));
    return { consumer: broker.consume(queues, { prefetch: 2 }), events };
  }

  test("is told of, and stops no other; who has not all its queues is not well", async () => {
    const { consumer, events } = setUp(["bad", "good"]);
    const reader = new Reader<Delivery>(consumer, 10_000);
    for (const text of ["1", "2", "3"]) await send("good", text);
    await send("bad", "4");
    for (const text of ["1", "2", "3"]) expect(await ack(reader)).toBe(text);
    const told = events.filter(({ is }) => is === "down");
    expect(told).toEqual([
      { is: "down", link: "consume", error: REFUSED, retryIn: expect.closeTo(15_000, -3) },
    ]);
    expect(events.filter(({ is }) => is === "fatal")).toEqual([]);
    expect(consumer.aliveAt).toBe(0);
    await allow("~*");
    await consumer.add("bad");
    expect(await ack(reader)).toBe("4");
    expect(consumer.aliveAt).toBeGreaterThan(0);
  });

  test("is refused to `add`, and is not asked for again", async () => {
    const { consumer, events } = setUp(["good"]);
    const reader = new Reader<Delivery>(consumer, 10_000);
    await expect(consumer.add("bad")).rejects.toEqual(REFUSED);
    await send("good", "1");
    expect(await ack(reader)).toBe("1");
    expect(events.filter(({ is }) => is === "down" || is === "fatal")).toEqual([]);
    expect(consumer.aliveAt).toBeGreaterThan(0);
  });

  test("is fatal where it is all that there is", async () => {
    const { consumer, events } = setUp(["bad"]);
    await expect(new Reader<Delivery>(consumer, 10_000).next()).rejects.toEqual(REFUSED);
    expect(events.at(-1)).toEqual({ is: "fatal", error: REFUSED });
  });

  test("may become one, with all others, and none again", async () => {
    const { consumer, events } = setUp(["bad", "good"]);
    await allow("~*");
    const reader = new Reader<Delivery>(consumer, 20_000);
    await send("bad", "1");
    expect(await ack(reader)).toBe("1");
    events.splice(0);
    await allow("~good*", "~celeriac:parked:good*");
    await until(() => events.some(({ is }) => is === "down"), { what: "news", deadline: 10_000 });
    await send("good", "2");
    expect(await ack(reader)).toBe("2");
    await redis.call("ACL", "SETUSER", "worker", "-evalsha", "-eval");
    const before = events.length;
    await until(() => events.slice(before).some(({ is }) => is === "down"), {
      what: "news",
      deadline: 10_000,
    });
    await send("good", "3");
    await allow("~*");
    expect(await ack(reader)).toBe("3");
    expect(events.filter(({ is }) => is === "fatal")).toEqual([]);
  });
});

test("a binding that is refused after a loss of the link, though it stood, has no message to others refused", async () => {
  const bindings = ["~_kombu.binding.good", "~celeriac:pub:*", "~good*"];
  await allow(...bindings, "~_kombu.binding.bad", "~bad*");
  const broker = kept(redisBroker(as("worker")));
  const publish = async (name: string): Promise<unknown> => {
    const declare = [
      { kind: "exchange", name, type: "direct", durable: true, autoDelete: false },
      { kind: "binding", queue: name, exchange: name, routingKey: name },
    ] as const;
    const one: Outgoing = {
      message: letter(name),
      to: { exchange: name, routingKey: name },
      mustRoute: true,
    };
    return (await broker.publish([one], { declare })).map(({ is }) => is);
  };
  expect([await publish("bad"), await publish("good")]).toEqual([["confirmed"], ["confirmed"]]);
  await allow(...bindings);
  const lost = deferred<void>();
  broker.observe(({ is }) => void (is === "down" && lost.resolve()));
  await redis.call("CLIENT", "KILL", "USER", "worker");
  await lost.promise;
  for (const name of ["good", "good", "bad", "good"]) {
    expect(await publish(name)).toEqual([name === "bad" ? "refused" : "confirmed"]);
  }
  expect([await redis.llen("good"), await redis.llen("bad")]).toEqual([4, 1]);
});

test("what somebody else may put back is left to them by a sweep", async () => {
  const own = kept(redisBroker(server.url, { visibilityTimeout: 1 }));
  await send("bad", "1");
  await send("good", "2");
  // Python's, dead for long.
  for (const queue of ["bad", "good"]) {
    const text = await redis.rpop(queue);
    await redis.hset("unacked", `tag of ${queue}`, `[${text},"","${queue}"]`);
    await redis.zadd("unacked_index", 1, `tag of ${queue}`);
  }
  const limited = kept(redisBroker(as("worker"), { visibilityTimeout: 1 }));
  const reader = new Reader<Delivery>(limited.consume(["good"], { prefetch: 1 }), 10_000);
  expect(await ack(reader)).toBe("2");
  expect(await redis.zscore("unacked_index", "tag of bad")).toBe("1");
  await limited.close();
  expect(textsOf(await new Reader<Delivery>(own.consume(["bad"], { prefetch: 1 }), 10_000).take(1))).toEqual([
    "1",
  ]);
});

test("a queue that is refused is left alone for a while, then asked for again", () => {
  const taps = new Taps(new LeaseKeys());
  const [bad] = [taps.open("bad", true), taps.open("good", true)];
  expect(taps.refuse(bad, new Error("no"), 1000)).toBe(16_000);
  expect(taps.asked(0, 15_999).map(({ queue }) => queue)).toEqual(["good"]);
  expect(taps.asked(0, 16_000).map(({ queue }) => queue)).toEqual(["bad", "good"]);
});
