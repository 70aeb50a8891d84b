import { Redis } from "@upstash/redis";
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { until } from "../support/wait.ts";

/** Upstash's own client, as a program has it: retries, read-your-writes, auto-pipelining and deserialisation on. */
let gateway: PrivateGateway;
let redis: Redis;
let plain: Redis;
let key: string;

beforeAll(async () => {
  gateway = await startGateway({ redis: inject("redis") });
  const to = { url: gateway.url, token: gateway.token, enableTelemetry: false };
  redis = new Redis(to);
  plain = new Redis({
    ...to,
    enableAutoPipelining: false,
    automaticDeserialization: false,
    retry: { retries: 0 },
  });
});

afterAll(() => gateway[Symbol.asyncDispose]());

beforeEach(() => void (key = `upstash:${crypto.randomUUID()}`));

test("strings", async () => {
  expect(await redis.set(key, { a: [1, null, "é😀"] }, { ex: 100 })).toBe("OK");
  expect(await redis.get(key)).toEqual({ a: [1, null, "é😀"] });
  expect(await redis.ttl(key)).toBeGreaterThan(90);
  expect(await redis.set(key, "x", { nx: true })).toBeNull();
  expect(await redis.append(key, "!")).toBe(22 + 2);
  expect(await redis.getdel(key)).toBe('{"a":[1,null,"é😀"]}!');
  expect(await redis.incrbyfloat(key, 1.5)).toBe(1.5);
  expect(await redis.mset({ [key]: 1, [`${key}2`]: "two" })).toBe("OK");
  expect(await redis.mget(key, "nobody", `${key}2`)).toEqual([1, null, "two"]);
  expect(await redis.setbit(key, 7, 1)).toBe(1);
  expect(await redis.bitcount(key, 0, -1)).toBe(3);
  expect(await redis.getrange(`${key}2`, 0, 1)).toBe("tw");
  expect(await redis.del(key, `${key}2`)).toBe(2);
});

test("values that look like base64, JSON or OK stay what they are", async () => {
  for (
    const value of [
      "OK",
      "T0s=",
      "b2s=",
      "true",
      "null",
      "9223372036854775808",
      "007",
      "",
      '"quoted"',
      "a\nb",
    ]
  ) {
    await plain.set(key, value);
    expect(await plain.get(key)).toBe(value);
    expect(await plain.mget(key, key)).toEqual([value, value]);
  }
  await plain.del(key);
});

test("lists", async () => {
  expect(await redis.rpush<unknown>(key, "a", 2, { c: 3 })).toBe(3);
  expect(await redis.lrange(key, 0, -1)).toEqual(["a", 2, { c: 3 }]);
  expect(await redis.lmove(key, key, "left", "right")).toBe("a");
  expect(await redis.lpos(key, "a")).toBe(2);
  expect(await redis.linsert(key, "before", "a", "b")).toBe(4);
  expect(await redis.lpop(key, 2)).toEqual([2, { c: 3 }]);
  expect(await redis.llen(key)).toBe(2);
  expect(await redis.rpop(key)).toBe("a");
  await redis.del(key);
  expect(await redis.lpop(key)).toBeNull();
});

test("hashes", async () => {
  expect(await redis.hset(key, { a: 1, b: "two", c: { d: 4 } })).toBe(3);
  expect(await redis.hgetall(key)).toEqual({ a: 1, b: "two", c: { d: 4 } });
  expect(await redis.hmget(key, "a", "z")).toEqual({ a: 1, z: null });
  expect(await redis.hincrby(key, "a", 41)).toBe(42);
  expect(await redis.hkeys(key)).toEqual(["a", "b", "c"]);
  expect(await redis.hrandfield(key, 3, true)).toEqual({ a: 42, b: "two", c: { d: 4 } });
  const [cursor, fields] = await redis.hscan(key, "0");
  expect([cursor, fields.length]).toEqual(["0", 6]);
  await redis.del(key);
  expect(await redis.hgetall(key)).toBeNull();
});

test("sets and sorted sets", async () => {
  expect(await redis.sadd<string | number>(key, "a", "b", 3)).toBe(3);
  expect((await redis.smembers(key)).map(String).sort()).toEqual(["3", "a", "b"]);
  expect(await redis.smismember(key, ["a", "z"])).toEqual([1, 0]);
  await redis.del(key);
  expect(await redis.zadd(key, { score: 1, member: "one" }, { score: 2.5, member: "more" })).toBe(2);
  expect(await redis.zrange(key, 0, -1, { withScores: true })).toEqual(["one", 1, "more", 2.5]);
  expect(await redis.zrange(key, 0, 1, { byScore: true })).toEqual(["one"]);
  expect(await redis.zincrby(key, 2, "one")).toBe(3);
  expect(await redis.zpopmax(key)).toEqual(["one", 3]);
  expect(await redis.zscore(key, "nobody")).toBeNull();
  expect(await redis.zmscore(key, ["more", "nobody"])).toEqual([2.5, null]);
  await redis.del(key);
});

test("streams", async () => {
  const id = await redis.xadd(key, "*", { field: "value", n: 1 });
  expect(id).toMatch(/^\d+-\d+$/);
  expect(await redis.xlen(key)).toBe(1);
  expect(await redis.xrange(key, "-", "+")).toEqual({ [id]: { field: "value", n: 1 } });
  expect(await redis.xread(key, "0-0")).toEqual([[key, [[id, ["field", "value", "n", 1]]]]]);
  expect(await redis.xgroup(key, { type: "CREATE", group: "g", id: "0" })).toBe("OK");
  expect(await redis.xreadgroup("g", "c", key, ">")).toEqual([[key, [[id, ["field", "value", "n", 1]]]]]);
  expect(await redis.xack(key, "g", id)).toBe(1);
  await redis.del(key);
});

test("scripts", async () => {
  expect(await redis.eval("return {KEYS[1], ARGV[1], 7, false}", [key], ["a"])).toEqual([key, "a", 7, null]);
  const sha = await redis.scriptLoad("return ARGV[1]");
  expect(await redis.evalsha(sha, [], ["hello"])).toBe("hello");
  expect(await redis.scriptExists(sha, "0".repeat(40))).toEqual([1, 0]);
  const script = redis.createScript<string>("return redis.call('SET', KEYS[1], ARGV[1])");
  expect(await script.exec([key], ["v"])).toBe("OK");
  await expect(plain.eval("return redis.error_reply('MINE is wrong')", [], [])).rejects.toThrow(
    /^MINE is wrong/,
  );
  await expect(plain.evalsha("0".repeat(40), [], [])).rejects.toThrow(/NOSCRIPT/);
  await redis.del(key);
});

test("other shapes: scan, geo, type, time, echo", async () => {
  await redis.set(key, 1);
  const [, keys] = await redis.scan(0, { match: key, count: 100_000 });
  expect(keys).toEqual([key]);
  expect(await redis.type(key)).toBe("string");
  expect(await redis.time()).toEqual([expect.any(Number), expect.any(Number)]);
  expect(await redis.echo("héllo")).toBe("héllo");
  await redis.del(key);
  await redis.geoadd(key, { longitude: 13.361389, latitude: 38.115556, member: "Palermo" });
  expect(await redis.geopos(key, "Palermo")).toEqual([{
    lng: expect.closeTo(13.36, 2),
    lat: expect.closeTo(38.12, 2),
  }]);
  await redis.del(key);
});

test("pipelines, with errors in their places", async () => {
  const pipe = redis.pipeline().set(key, "text").incr(key).get(key).del(key);
  const results = await pipe.exec({ keepErrors: true });
  expect(results.map(({ result }) => result)).toEqual(["OK", undefined, "text", 1]);
  expect(results[1]?.error).toMatch(/not an integer/);
  await expect(redis.pipeline().get(key).incr(key).hget(key, "x").exec()).rejects.toThrow(/WRONGTYPE/);
  await redis.del(key);
});

test("a transaction", async () => {
  const before = gateway.requests.length;
  const results = await redis.multi().set(key, "v").get(key).del(key).exec();
  expect(results).toEqual(["OK", "v", 1]);
  expect(gateway.requests.slice(before).map(({ path }) => path)).toEqual(["/multi-exec"]);
});

test("automatic pipelines", async () => {
  const before = gateway.requests.length;
  const [, first, second] = await Promise.all([redis.set(key, 1), redis.incr(key), redis.incr(key)]);
  expect([first, second]).toEqual([2, 3]);
  expect(gateway.requests.slice(before).map(({ path }) => path)).toEqual(["/pipeline"]);
  const echoes = await Promise.all(
    Array.from({ length: 1500 }, (_, index) => redis.echo(`message ${index}`)),
  );
  expect(echoes).toEqual(Array.from({ length: 1500 }, (_, index) => `message ${index}`));
  await redis.del(key);
});

test("who writes reads it: the sync token goes back and forth", async () => {
  await plain.set(key, "v");
  expect(await plain.get(key)).toBe("v");
  await plain.del(key);
  const [get, del] = gateway.requests.slice(-2).map(({ headers }) => headers["upstash-sync-token"]);
  expect(get).toMatch(/./);
  expect(del).not.toBe(get);
});

test("values of a megabyte, bytes beyond UTF-8 and 2^63", async () => {
  const large = "é".repeat(1 << 19);
  await plain.set(key, large);
  expect(await plain.get<string>(key) === large).toBe(true);
  await plain.set(key, "9223372036854775807");
  expect(await plain.get(key)).toBe("9223372036854775807");
  await expect(plain.incr(key)).rejects.toThrow(/overflow/);
  await plain.set(key, "\ud800 lone");
  expect(await plain.get(key)).toBe("\uFFFD lone");
  await plain.del(key);
});

test("a wrong token is told, and a command that is not served", async () => {
  const wrong = new Redis({
    url: gateway.url,
    token: "wrong",
    retry: { retries: 0 },
    enableAutoPipelining: false,
  });
  await expect(wrong.get(key)).rejects.toThrow(/WRONGPASS invalid or missing auth token/);
  await expect(plain.exec(["BLPOP", key, "0"])).rejects.toThrow(/not available/);
  await expect(plain.exec(["SELECT", "1"])).rejects.toThrow(/not allowed in REST/);
});

test("subscribe and psubscribe", async () => {
  const [channel, other] = [`${key}:a`, `${key}:b`];
  const seen: unknown[] = [];
  const subscription = redis.subscribe<unknown>([channel, other]);
  const pattern = redis.psubscribe<unknown>([`${key}:*`]);
  subscription.on("message", ({ channel, message }) => seen.push([channel, message]));
  pattern.on("pmessage", ({ channel, message, pattern }) => seen.push([pattern, channel, message]));
  // As a pattern's message the client takes JSON only; a channel's may be any text. Every one of the three has to be there before the first message.
  await until(async () => await redis.publish(`${key}:z`, "probe") === 1, { what: "the pattern" });
  await until(async () => await redis.publish(channel, "probe") === 2, { what: "the channel" });
  await until(async () => await redis.publish(other, "probe") === 2, { what: "the other channel" });
  await redis.publish(channel, { text: "a, b" });
  await redis.publish(other, { text: "last" });
  const own = (): unknown[] => seen.filter((event) => !JSON.stringify(event).includes("probe"));
  await until(() => own().length === 4, { what: "all messages" });
  expect(own()).toEqual(expect.arrayContaining([
    [channel, { text: "a, b" }],
    [other, { text: "last" }],
    [`${key}:*`, channel, { text: "a, b" }],
    [`${key}:*`, other, { text: "last" }],
  ]));
  await subscription.unsubscribe([other]);
  await until(async () => await redis.publish(other, "after") === 1, { what: "unsubscribed from one" });
  await Promise.all([subscription.unsubscribe(), pattern.unsubscribe()]);
  await until(async () => await redis.publish(channel, "after") === 0, { what: "unsubscribed from all" });
});
