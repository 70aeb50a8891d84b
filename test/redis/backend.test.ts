import { inject } from "vitest";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { resultStatus } from "../../src/protocol/result.ts";
import { startProxy } from "../support/proxy.ts";
import { until } from "../support/wait.ts";
import { bareClient, closing, DAY, placeOf, record, through } from "./setup.ts";

const url = inject("redis");

interface Captured {
  readonly keys: Readonly<
    Record<string, { readonly type: string; readonly value: unknown; readonly ttl: number }>
  >;
  readonly published: readonly { readonly channel: string; readonly data: string }[];
}

function vectors(version: string): [string, Captured][] {
  const file = new URL(`../vectors/worker.celery-${version}.json`, import.meta.url);
  const { results } = JSON.parse(readFileSync(file, "utf8")) as { results: Record<string, Captured> };
  return Object.entries(results);
}

describe.each(["5.2.6", "5.6.2"])("the keys of Celery %s", (version) => {
  test.each(vectors(version))(
    "%s: the same texts leave the same keys, times to live and messages",
    async (_name, captured) => {
      const prefix = `vectors-${crypto.randomUUID()}:`;
      const expected = Object.entries(captured.keys).filter(([key]) => key.startsWith("celery-task-meta-"));
      // Some captures also heard the late messages of the case before.
      const results = captured.published.filter(({ channel }) => expected.some(([key]) => key === channel));
      await using redis = bareClient(url);
      await using listener = bareClient(url);
      await using backend = closing(redisBackend(url, { globalKeyprefix: prefix }));
      const heard: { channel: string; data: string }[] = [];
      listener.on(
        "pmessage",
        (_pattern, channel, data) => heard.push({ channel: channel.slice(prefix.length), data }),
      );
      await listener.psubscribe(`${prefix}*`);

      for (const { channel, data } of results) {
        const taskId = channel.slice("celery-task-meta-".length);
        await backend.store({ taskId, status: resultStatus(data), text: data }, { ttl: DAY });
      }
      await until(() => heard.length === results.length, { what: "the messages" });
      expect(heard).toEqual(results);
      const keys = (await redis.keys(`${prefix}*`)).sort();
      expect(keys).toEqual(expected.map(([key]) => prefix + key).sort());
      for (const [key, { type, value }] of expected) {
        expect(await redis.type(prefix + key)).toBe(type);
        expect(await redis.get(prefix + key)).toBe(value);
        const ttl = await redis.ttl(prefix + key);
        expect(ttl).toBeGreaterThan(86_390);
        expect(ttl).toBeLessThanOrEqual(86_400);
      }
      if (keys.length > 0) await redis.del(...keys);
    },
  );
});

describe("the Redis backend", () => {
  test("without a time to live a result stays; with a fraction of a second it goes after that", async () => {
    await using redis = bareClient(url);
    await using backend = closing(redisBackend(url));
    const [ever, zero, short] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
    await backend.store(record(ever, "SUCCESS"), { ttl: undefined });
    await backend.store(record(zero, "SUCCESS"), { ttl: 0 });
    await backend.store(record(short, "SUCCESS"), { ttl: 1500.5 });
    expect(await redis.pttl(`celery-task-meta-${ever}`)).toBe(-1);
    expect(await redis.pttl(`celery-task-meta-${zero}`)).toBe(-1);
    const left = await redis.pttl(`celery-task-meta-${short}`);
    expect(left).toBeGreaterThan(1000);
    expect(left).toBeLessThanOrEqual(1501);
    await backend.forget([ever, zero, short]);
    expect(await redis.exists(`celery-task-meta-${ever}`)).toBe(0);
  });

  test("SUCCESS that stays is not announced again, and its time to live is not prolonged", async () => {
    await using redis = bareClient(url);
    await using listener = bareClient(url);
    await using backend = closing(redisBackend(url));
    const id = crypto.randomUUID();
    const heard: string[] = [];
    listener.on("message", (_channel, text) => heard.push(text));
    await listener.subscribe(`celery-task-meta-${id}`);
    await backend.store(record(id, "SUCCESS", 1), { ttl: 60_000 });
    expect(await backend.store(record(id, "FAILURE", 2), { ttl: DAY })).toBe("kept");
    expect(await redis.pttl(`celery-task-meta-${id}`)).toBeLessThanOrEqual(60_000);
    // A message sent later is here: an earlier one would be, too.
    await redis.publish(`celery-task-meta-${id}`, "end");
    await until(() => heard.includes("end"), { what: "the last message" });
    expect(heard).toEqual([record(id, "SUCCESS", 1).text, "end"]);
    await backend.forget([id]);
  });

  test("1,000 results stored at once travel in fewer than 20 round trips, and so do 1,000 reads", async () => {
    await using proxy = await startProxy(placeOf(url));
    await using backend = closing(redisBackend(through(url, proxy.port)));
    const ids = Array.from({ length: 1000 }, () => crypto.randomUUID());
    await backend.store(record("warm", "STARTED"), { ttl: 1000 });
    const before = proxy.roundTrips;
    expect(
      new Set(await Promise.all(ids.map((id) => backend.store(record(id, "SUCCESS", id), { ttl: DAY })))),
    ).toEqual(
      new Set(["stored"]),
    );
    const stored = proxy.roundTrips;
    expect(stored - before).toBeLessThan(20);
    const loaded = await Promise.all(ids.map((id) => backend.load([id])));
    expect(loaded.map(([one]) => one?.taskId)).toEqual(ids);
    expect(proxy.roundTrips - stored).toBeLessThan(20);
    expect(proxy.connections).toBe(1);
    await backend.forget(ids);
    expect(await backend.load(ids)).toEqual(ids.map(() => undefined));
  });

  test("large results pass, whole", async () => {
    await using backend = closing(redisBackend(url));
    const ids = Array.from({ length: 5 }, () => crypto.randomUUID());
    const big = ids.map((id, index) => record(id, "SUCCESS", "ü".repeat(700_000) + index));
    await Promise.all(big.map((one) => backend.store(one, { ttl: 60_000 })));
    expect(await backend.load(ids)).toEqual(big);
    await backend.forget(ids);
  });

  test("what is stored but is no result is a coded error for the one who asks, for nobody else", async () => {
    await using redis = bareClient(url);
    await using backend = closing(redisBackend(url));
    const [good, bad] = [crypto.randomUUID(), crypto.randomUUID()];
    await backend.store(record(good, "SUCCESS"), { ttl: 60_000 });
    await redis.set(`celery-task-meta-${bad}`, "\u0080pickled", "EX", 60);
    const [one, other] = await Promise.allSettled([backend.load([good]), backend.load([bad])]);
    expect(one).toMatchObject({ status: "fulfilled" });
    expect(other).toMatchObject({
      status: "rejected",
      reason: { name: "DecodeError", code: "decode-result" },
    });
    await backend.forget([good, bad]);
  });

  test("facts live under a prefix of our own, each with an expiry", async () => {
    await using redis = bareClient(url);
    const prefix = crypto.randomUUID();
    await using backend = closing(redisBackend(url, { globalKeyprefix: prefix }));
    await backend.facts?.put("a", "1", { ttl: 5000 });
    await backend.facts?.put("b", "1", { ttl: 5000, ifAbsent: true });
    await backend.facts?.bump("c", { ttl: 5000 });
    const keys = await redis.keys(`${prefix}*`);
    expect(keys.sort()).toEqual(["a", "b", "c"].map((name) => `${prefix}_celeriac:fact:${name}`));
    for (const key of keys) expect(await redis.pttl(key)).toBeGreaterThan(0);
    for (const ttl of [0, -1, NaN, Infinity]) {
      await expect(backend.facts?.put("d", "1", { ttl })).rejects.toMatchObject({ code: "fact-ttl-invalid" });
    }
    await redis.del(...keys);
  });

  test.each<[string, object, string, string]>([
    ["an unknown option", { pollIntervall: 1 }, "option-unknown", '"pollInterval"'],
    ["a duration without its unit", { pollInterval: "1" }, "duration-invalid", "pollInterval"],
    ["no time at all", { commandTimeout: 0 }, "duration-invalid", "commandTimeout"],
    ["TLS on a plain URL", { tls: {} }, "backend-url-invalid", "rediss://"],
  ])("%s is a coded error at once", (_name, options, code, text) => {
    expect(() => redisBackend("redis://127.0.0.1:1/0", options)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(text) }),
    );
  });

  test("a constructor does no I/O", async () => {
    await using proxy = await startProxy(placeOf(url));
    await using backend = closing(redisBackend(through(url, proxy.port)));
    backend.watch(["a"]);
    await backend.close();
    expect(proxy.connections).toBe(0);
  });
});
