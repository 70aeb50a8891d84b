import { inspect } from "node:util";
import { expect, inject, test } from "vitest";
import { createGateway } from "../../src/gateway/mod.ts";
import { bareClient, placeOf, through } from "../redis/setup.ts";
import { startProxy } from "../support/proxy.ts";
import { startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { fresh, opened } from "./setup.ts";

/** Connections that gateways have open at this Redis. */
async function connections(url: string): Promise<number> {
  await using bare = bareClient(url);
  const list = String(await bare.call("CLIENT", "LIST"));
  return list.split("\n").filter((line) => line.includes("name=celeriac-gateway")).length;
}

test("nothing is opened before the first request, one connection serves them all, close lets go of it", async () => {
  await using redis = await startRedis();
  const gateway = opened({ redis: redis.url });
  expect(await connections(redis.url)).toBe(0);
  await Promise.all(Array.from({ length: 50 }, () => gateway.run("PING")));
  expect(await connections(redis.url)).toBe(1);
  await gateway.ask("/multi-exec", { body: '[["PING"]]' });
  await until(async () => await connections(redis.url) === 1, {
    what: "the transaction's connection is closed",
  });
  await gateway.close();
  await gateway.close();
  await until(async () => await connections(redis.url) === 0, { what: "all are closed" });
  const { status, json } = await gateway.ask("/ping");
  expect([status, json]).toEqual([503, { error: "ERR the gateway is closed" }]);
  expect(await connections(redis.url)).toBe(0);
});

test("transactions take so many connections and no more: the others wait their turn, or hear 503 in time", async () => {
  await using redis = await startRedis();
  await using bare = bareClient(redis.url);
  const received = async (): Promise<number> =>
    Number(/total_connections_received:(\d+)/.exec(String(await bare.call("INFO", "stats")))?.[1]);
  await using gateway = opened({ redis: redis.url, maxTransactions: 3, commandTimeout: "1s" });
  const key = fresh();
  const ask = () => gateway.ask("/multi-exec", { body: JSON.stringify([["INCR", key]]) });

  const done = await Promise.all(Array.from({ length: 40 }, ask));
  expect(done.map(({ json }) => (json as [{ result: number }])[0].result).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 40 }, (_, index) => index + 1),
  );

  const before = await received();
  await redis.pause();
  const answers = await Promise.all(Array.from({ length: 40 }, ask));
  redis.resume();
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 504 || status === 502).length).toBeGreaterThanOrEqual(3);
  expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(0);
  for (const { status, json } of answers) {
    expect([502, 503, 504]).toContain(status);
    if (status === 503) expect(json).toEqual({ error: "ERR max transactions exceeded" });
  }
  expect(await received() - before).toBeLessThanOrEqual(6);
  // The places are free again.
  await until(async () => (await ask()).status === 200, { what: "served again" });
  expect((await Promise.all(Array.from({ length: 6 }, ask))).map(({ status }) => status)).toEqual(
    Array.from({ length: 6 }, () => 200),
  );
});

test("close settles the transactions that wait", async () => {
  await using redis = await startRedis();
  const gateway = opened({ redis: redis.url, maxTransactions: 1 });
  await gateway.run("PING");
  await redis.pause();
  const asked = Array.from({ length: 5 }, () => gateway.ask("/multi-exec", { body: '[["PING"]]' }));
  await new Promise((resolve) => setTimeout(resolve, 0));
  await gateway.close();
  for (const { status } of await Promise.all(asked)) expect([502, 503]).toContain(status);
});

test("close settles what is under way", async () => {
  await using redis = await startRedis();
  const gateway = opened({ redis: redis.url });
  await gateway.run("PING");
  await redis.pause();
  const asked = [
    gateway.ask("/incr/x"),
    gateway.ask("/pipeline", { body: '[["PING"]]' }),
    gateway.ask("/multi-exec", { body: '[["PING"]]' }),
    gateway.ask("/subscribe/x"),
  ];
  // They are on their way once Redis has been written to, which nobody sees while it is paused: a turn of the loop is enough.
  await new Promise((resolve) => setTimeout(resolve, 0));
  await gateway.close();
  for (const { status, json } of await Promise.all(asked)) {
    expect([502, 503]).toContain(status);
    expect(json).toEqual({ error: expect.stringMatching(/^ERR /) });
  }
});

test("without a Redis each request is 502, and served again when it is back", async () => {
  await using redis = await startRedis();
  await using gateway = opened({ redis: redis.url });
  const key = fresh();
  expect(await gateway.run("SET", key, "v")).toEqual({ result: "OK" });
  await redis.kill9();
  for (const path of ["/ping", "/pipeline", "/multi-exec", "/subscribe/x"]) {
    const ask = () => gateway.ask(path, { body: path === "/ping" ? undefined : '[["PING"]]' });
    // The first one may meet the connection that is just breaking.
    await until(async () => (await ask()).json, { what: "an answer" });
    const { status, json } = await ask();
    expect([path, status, json]).toEqual([path, 502, { error: "ERR the gateway cannot reach its Redis" }]);
  }
  await redis.start();
  await until(async () => (await gateway.ask("/ping")).status === 200, { what: "served again" });
  expect(await gateway.run("GET", key)).toEqual({ result: "v" });
});

test("a Redis that stays silent: 504 by the deadline, nothing is left, and what it says later goes to nobody", async () => {
  await using redis = await startRedis();
  await using gateway = opened({ redis: redis.url, commandTimeout: "300ms" });
  const key = fresh();
  await gateway.run("PING");
  await redis.pause();
  const begin = performance.now();
  const answers = await Promise.all([
    gateway.ask(`/incr/${key}`),
    gateway.ask("/pipeline", { body: '[["PING"]]' }),
    gateway.ask("/multi-exec", { body: '[["PING"]]' }),
    gateway.ask("/subscribe/x"),
  ]);
  expect(performance.now() - begin).toBeLessThan(5000);
  for (const { status, json } of answers) {
    expect([status, json]).toEqual([expect.toSatisfy((code) => code === 504 || code === 502), {
      error: expect.stringMatching(/not answer in time|lost its Redis/),
    }]);
  }
  redis.resume();
  await until(async () => (await gateway.ask("/ping")).status === 200, { what: "served again" });
  const echoes = await Promise.all(Array.from({ length: 20 }, (_, index) => gateway.run("ECHO", index)));
  expect(echoes).toEqual(Array.from({ length: 20 }, (_, index) => ({ result: String(index) })));
});

test("a connection that breaks under a command: 502 that says it is not known, 100 times", async () => {
  const { host, port } = placeOf(inject("redis"));
  await using proxy = await startProxy({ host, port });
  await using gateway = opened({ redis: through(inject("redis"), proxy.port) });
  const key = fresh();
  for (let round = 0; round < 100; round++) {
    expect(await gateway.run("PING")).toEqual({ result: "PONG" });
    const before = proxy.bytes.down;
    proxy.blackhole("down");
    const asked = gateway.ask(`/incr/${key}`);
    await until(() => proxy.bytes.down > before, { what: "the answer is on its way", every: 1 });
    proxy.cut();
    proxy.heal();
    const { status, json } = await asked;
    expect([status, json]).toEqual([502, { error: expect.stringContaining("not known") }]);
  }
  // Each was executed, once.
  expect(await gateway.run("getdel", key)).toEqual({ result: "100" });
});

test("a wrong password of the Redis shows in no answer", async () => {
  await using redis = await startRedis();
  await using bare = bareClient(redis.url);
  await bare.call("CONFIG", "SET", "requirepass", "hidden-one");
  const url = redis.url.replace("redis://", "redis://:wrong-secret@");
  await using gateway = opened({ redis: url });
  for (const path of ["/ping", "/multi-exec", "/subscribe/a"]) {
    const { status, text } = await gateway.ask(path, { body: path === "/ping" ? undefined : '[["PING"]]' });
    expect([path, status]).toEqual([path, 502]);
    expect(text).not.toMatch(/secret|hidden|127\.0\.0\.1/);
  }
  expect(inspect(gateway, { depth: 9, showHidden: true })).not.toMatch(/secret|right-token/);
  await using right = opened({ redis: redis.url.replace("redis://", "redis://:hidden-one@") });
  expect(await right.run("PING")).toEqual({ result: "PONG" });
  expect(await gateway.run("PING")).toEqual({ error: expect.any(String) });
});

test("options are checked, and no complaint holds a secret", () => {
  const redis = "redis://user:secret@localhost/0";
  const wrong: [object, string][] = [
    [{ redis, token: "t", tokn: 1 }, "option-unknown"],
    [{ redis }, "option-invalid"],
    [{ redis, token: "" }, "option-invalid"],
    [{ redis, token: "secret with space" }, "option-invalid"],
    [{ redis: {} }, "option-invalid"],
    [{ redis: { "secret t": redis } }, "option-invalid"],
    [{ redis: { t: redis }, token: "secret" }, "option-invalid"],
    [{ redis: { t: 7 } }, "option-invalid"],
    [{}, "option-invalid"],
    [{ redis: "http://user:secret@localhost", token: "t" }, "backend-url-invalid"],
    [{ redis, token: "t", maxBody: 0 }, "option-invalid"],
    [{ redis, token: "t", maxCommands: 1.5 }, "option-invalid"],
    [{ redis, token: "t", maxSubscriptions: -1 }, "option-invalid"],
    [{ redis, token: "t", maxArguments: 0 }, "option-invalid"],
    [{ redis, token: "t", maxTransactions: Infinity }, "option-invalid"],
    [{ redis, token: "t", commandTimeout: 0 }, "duration-invalid"],
    [{ redis, token: "t", heartbeat: "soon" }, "duration-invalid"],
  ];
  for (const [options, code] of wrong) {
    let error: unknown;
    try {
      createGateway(options as never);
    } catch (thrown) {
      error = thrown;
    }
    expect([options, error]).toEqual([
      options,
      expect.objectContaining({ name: "ConfigurationError", code }),
    ]);
    expect(inspect(error, { depth: 9 })).not.toContain("secret");
  }
});
