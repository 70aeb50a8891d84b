/** Names that are no queue's on Redis, and what becomes of a queue whose keys another program took. */
import { describe, expect, test } from "vitest";
import { upstashBroker } from "../../adapters/redis/http.ts";
import { redisBroker } from "../../adapters/redis/tcp.ts";
import type { Broker, Outgoing } from "../../src/broker.ts";
import { letter, textOf, textsOf } from "../../src/testing/contract/letter.ts";
import { Reader } from "../../src/testing/contract/reader.ts";
import { ownRedis } from "./own-redis.ts";

const rig = ownRedis({ gateway: true });

const BROKERS: readonly (readonly [string, () => Broker])[] = [
  ["over TCP", () => rig.kept(redisBroker(rig.url))],
  [
    "over HTTP",
    () => rig.kept(upstashBroker({ url: rig.gateway.url, token: rig.gateway.token, pollInterval: "50ms" })),
  ],
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
    expect(await rig.redis.exists("_kombu.binding.ex")).toBe(0);
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
  await rig.redis.rpush("celeriac:parked:q", "a list");
  await rig.redis.rpush("celeriac:fleet", "a list");
  const broker = rig.kept(redisBroker(rig.url));
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
  expect(await rig.redis.hlen("unacked")).toBe(1);
  expect(await rig.redis.pttl("celeriac:parked:q")).toBe(-1);
  expect(await rig.redis.pttl("celeriac:fleet")).toBe(-1);
});
