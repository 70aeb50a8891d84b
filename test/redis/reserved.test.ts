/** Names that are no queue's on Redis, and what becomes of a queue whose keys another program took. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { upstashBroker } from "../../adapters/redis/http.ts";
import { redisBroker } from "../../adapters/redis/tcp.ts";
import type { Broker, Outgoing } from "../../src/broker.ts";
import { letter, textOf, textsOf } from "../../src/testing/contract/letter.ts";
import { Reader } from "../../src/testing/contract/reader.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { bareClient } from "./setup.ts";

let server: PrivateServer;
let gateway: PrivateGateway;
let redis: ReturnType<typeof bareClient>;
const brokers: Broker[] = [];

beforeAll(async () => {
  server = await startRedis();
  gateway = await startGateway({ redis: server.url });
  redis = bareClient(server.url);
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await redis.flushall();
});

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close();
});

function kept(broker: Broker): Broker {
  brokers.push(broker);
  return broker;
}

const BROKERS: readonly (readonly [string, () => Broker])[] = [
  ["over TCP", () => kept(redisBroker(server.url))],
  ["over HTTP", () => kept(upstashBroker({ url: gateway.url, token: gateway.token, pollInterval: "50ms" }))],
];

const RESERVED = [
  "unacked",
  "unacked_index",
  "unacked_mutex",
  "celeriac:fleet",
  "celeriac:parked:celery",
  "_kombu.binding.celery",
  "_kombu.anything",
];

const to = (routingKey: string, text = "1"): Outgoing => ({
  message: letter(text),
  to: { exchange: "", routingKey },
  mustRoute: true,
});

describe.each(BROKERS)("a reserved name %s", (_how, make) => {
  test.each(RESERVED)("%s takes no consumer, no message and no binding", async (name) => {
    const broker = make();
    const reserved = expect.objectContaining({ name: "ConfigurationError", code: "queue-reserved" });
    expect(() => broker.consume([name], { prefetch: 1 })).toThrow(reserved);
    const consumer = broker.consume(["celery"], { prefetch: 2 });
    await expect(consumer.add(name)).rejects.toEqual(reserved);
    const refused = { is: "refused", retry: false, reason: expect.stringContaining(name) };
    expect(await broker.publish([to("celery", "1"), to(name), to("celery", "2")])).toMatchObject([
      { is: "confirmed" },
      refused,
      { is: "confirmed" },
    ]);
    expect(await broker.publish([to(name)])).toMatchObject([refused]);
    const binding = { kind: "binding", queue: name, exchange: "ex", routingKey: "" } as const;
    await expect(broker.declare([binding])).rejects.toEqual(reserved);
    await expect(broker.publish([to("celery")], { declare: [binding] })).rejects.toEqual(reserved);
    await expect(broker.purge(name)).rejects.toEqual(reserved);
    expect(await redis.exists("_kombu.binding.ex")).toBe(0);
    expect(textsOf(await new Reader(consumer, 10_000).take(2))).toEqual(["1", "2"]);
  });

  test("is none where only a part of it is", async () => {
    const broker = make();
    for (const name of ["unacked2", "my:unacked", "celeriac", "a_kombu.binding.x", "_kombux"]) {
      expect(await broker.publish([to(name)])).toEqual([{ is: "confirmed" }]);
    }
  });
});

test("a list in the place of the parked set or the fleet keeps no message back", async () => {
  await redis.rpush("celeriac:parked:q", "a list");
  await redis.rpush("celeriac:fleet", "a list");
  const broker = kept(redisBroker(server.url));
  await broker.publish([to("q", "1"), to("q", "2"), to("other", "3")]);
  const inbox = new Reader(broker.consume(["q", "other"], { prefetch: 2 }), 10_000);
  const got = await inbox.take(3);
  expect(textsOf(got).toSorted()).toEqual(["1", "2", "3"]);
  const [park, ...rest] = got.toSorted((a, b) => textOf(a.message) < textOf(b.message) ? -1 : 1);
  expect(
    await Promise.all([
      park?.settle({ as: "park", until: Date.now() + 60_000 }),
      ...rest.map((one) => one.settle({ as: "ack" })),
    ]),
  ).toEqual(["settled", "settled", "settled"]);
  // It is found by its entry, later.
  expect(await redis.hlen("unacked")).toBe(1);
  expect(await redis.pttl("celeriac:parked:q")).toBe(-1);
  expect(await redis.pttl("celeriac:fleet")).toBe(-1);
});
