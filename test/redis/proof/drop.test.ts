/** Over HTTP the answer of each request is dropped once: everything happens once all the same. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { upstashBackend, upstashBroker } from "../../../adapters/redis/http.ts";
import { CLAIM, SETTLE } from "../../../adapters/redis/lease/scripts.ts";
import { redisBroker } from "../../../adapters/redis/tcp.ts";
import { Celery } from "../../../mod.ts";
import type { Broker } from "../../../src/broker.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { type PrivateGateway, startGateway } from "../../support/gateway.ts";
import { type PrivateServer, startRedis } from "../../support/servers.ts";
import { bareClient } from "../setup.ts";

let server: PrivateServer;
let gateway: PrivateGateway;

beforeAll(async () => {
  server = await startRedis();
  gateway = await startGateway({ redis: server.url });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** Publishes over HTTP, one and a batch, stores over HTTP, waits over HTTP. The worker consumes by this broker. */
async function scenario(consuming: () => Broker): Promise<void> {
  const { token, url } = gateway;
  const queue = crypto.randomUUID();
  const runs = new Map<number, number>();
  await using redis = bareClient(server.url);
  await using app = new Celery("drop", {
    broker: upstashBroker({ url, token }),
    backend: upstashBackend({ url, token }),
    taskDefaultQueue: queue,
  });
  await using home = new Celery("home", {
    broker: consuming(),
    backend: upstashBackend({ url, token }),
    ...{ taskDefaultQueue: queue, logger: silentLogger },
  });
  home.task("drop.square", (n: number) => {
    runs.set(n, (runs.get(n) ?? 0) + 1);
    return n * n;
  });
  const first = await app.sendTask("drop.square", { args: [1] });
  const [second, third] = await app.sendMany([2, 3].map((n) => ({ name: "drop.square", args: [n] })));
  expect([second?.status, third?.status]).toEqual(["fulfilled", "fulfilled"]);
  expect(await redis.llen(queue)).toBe(3);
  await using worker = new Worker(home);
  const running = worker.run();
  const sent = [first, ...[second, third].flatMap((one) => one?.status === "fulfilled" ? [one.value] : [])];
  expect(await Promise.all(sent.map((result) => result.get({ timeout: 15 })))).toEqual([1, 4, 9]);
  await worker.stop();
  await running;
  expect(runs).toEqual(new Map([[1, 1], [2, 1], [3, 1]]));
  expect(await redis.exists(queue, "unacked")).toBe(0);
}

/** Far more requests than a scenario has. */
const MOST = 100;

/** Drops the answer of the first request that holds the text, of the second one, and so on to the last, each time from the beginning. */
async function dropEach(consuming: () => Broker, text = ""): Promise<number> {
  for (let dropped = 0; dropped < MOST; dropped++) {
    gateway.faults.plan([...Array.from({ length: dropped }, () => "none" as const), "drop"], text);
    await scenario(consuming);
    const isOver = gateway.faults.planned > 0;
    gateway.faults.heal();
    if (isOver) return dropped;
  }
  throw new Error("a scenario without an end");
}

test(
  "A30: the answer of each HTTP request is dropped once, and each task is there once, runs once, and has its result",
  async () => {
    const dropped = await dropEach(() => redisBroker(server.url));
    console.log(`A30: the answer of each of ${dropped} requests was dropped`);
    // Two publishes, a store for the three results or for each, and a look at least.
    expect(dropped).toBeGreaterThanOrEqual(4);
  },
  120_000,
);

test(
  "A30: so it is where the worker consumes over HTTP: the answers of claims and settlements are dropped, too",
  async () => {
    const { token, url } = gateway;
    const consuming = (): Broker => upstashBroker({ url, token, pollInterval: "200ms" });
    const all = await dropEach(consuming);
    // What comes where among the requests is not the same each time: these are counted by themselves.
    const claims = await dropEach(consuming, CLAIM.sha);
    const settlements = await dropEach(consuming, SETTLE.sha);
    console.log(`A30: the answer of each of ${all} requests, ${claims} claims, ${settlements} settlements`);
    expect(all).toBeGreaterThan(claims);
    expect(Math.min(claims, settlements)).toBeGreaterThan(0);
  },
  120_000,
);
