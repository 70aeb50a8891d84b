/** Real Python workers on Redis run what is published over HTTP, and what they store is read over HTTP. */
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { upstashBackend, upstashBroker } from "../../adapters/redis/http.ts";
import type { Broker } from "../../src/broker.ts";
import { Celery } from "../../mod.ts";
import { type CeleryWorker, startCeleryWorker } from "../support/celery-worker.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { until } from "../support/wait.ts";
import { bareClient } from "./setup.ts";

const own = crypto.randomUUID();
const queue = `http.${own}`;
const exchange = `topic.${own}`;
const topical = `topical.${own}`;
const hostname = `http-${own}@localhost`;

let gateway: PrivateGateway;
let worker: CeleryWorker;
let app: Celery;
let broker: Broker;

beforeAll(async () => {
  gateway = await startGateway({ redis: inject("redis") });
  worker = await startCeleryWorker({
    broker: inject("redis"),
    backend: inject("redis"),
    queue: [queue, topical],
    hostname,
    conf: {
      task_queues: {
        [queue]: { exchange: queue, routing_key: queue },
        [topical]: { exchange, exchange_type: "topic", routing_key: "sums.*.now" },
      },
    },
  });
  const server = { url: gateway.url, token: gateway.token };
  broker = upstashBroker(server);
  app = new Celery("edge", { broker, backend: upstashBackend(server), taskDefaultQueue: queue });
}, 60_000);

afterAll(async () => {
  await app?.close();
  await worker?.[Symbol.asyncDispose]();
  await gateway?.[Symbol.asyncDispose]();
  await using redis = bareClient();
  await redis.del(`_kombu.binding.${queue}`, `_kombu.binding.${exchange}`);
});

test("a task runs and its result comes back, sent and watched over HTTP", async () => {
  const from = gateway.requests.length;
  const result = await app.sendTask("tasks.add", { args: [2, 3] });
  expect(gateway.requests.length - from).toBeLessThanOrEqual(2);
  expect(await result.get({ timeout: 20 })).toBe(5);
  await result.forget();
});

test("values keep their types both ways", async () => {
  const args = [{ text: "ü€😀\u2028", big: 2n ** 70n, when: new Date(0), list: [1.5, null, true] }, []];
  const result = await app.sendTask("tasks.add", { args: [["x"], [args[0]]] });
  expect(await result.get({ timeout: 20 })).toEqual(["x", args[0]]);
});

test("every priority is taken", async () => {
  const results = await Promise.all(
    Array.from({ length: 10 }, (_, priority) => app.sendTask("tasks.mul", { args: [priority, 2], priority })),
  );
  const values = await Promise.all(results.map((result) => result.get({ timeout: 20 })));
  expect(values).toEqual(Array.from({ length: 10 }, (_, priority) => priority * 2));
});

test("a failure is told with the exception's class", async () => {
  const result = await app.sendTask("tasks.fail", { args: ["broken"] });
  await expect(result.get({ timeout: 20 })).rejects.toMatchObject({
    excType: "ValueError",
    excMessage: ["broken"],
  });
});

test("the topic that the worker bound takes what kombu's pattern takes, and nothing else", async () => {
  const send = (routingKey: string) => app.sendTask("tasks.add", { args: [1, 1], exchange, routingKey });
  expect(await (await send("sums.small.now")).get({ timeout: 20 })).toBe(2);
  expect(await (await send("sums.two.words.now")).get({ timeout: 20 })).toBe(2);
  await expect(send("sums.now")).rejects.toMatchObject({ code: "publish-unroutable" });
});

test("a publish whose answers were lost runs once", async () => {
  const from = worker.log.split("tasks.sum.consume_task[").length;
  gateway.faults.dropResponse(2);
  const result = await app.sendTask("tasks.sum.consume_task", { kwargs: { a: 86, b: 63 } });
  expect(await result.get({ timeout: 20 })).toBe(149);
  await until(() => /consume_task\[.*succeeded/.test(worker.log), { what: "the end of the task" });
  expect(await broker.count(queue)).toBe(0);
  const received = worker.log.split("\n").filter((line) =>
    /Task tasks.sum.consume_task\[.*received/.test(line)
  );
  expect(received).toHaveLength(1);
  expect(from).toBe(1);
});

test("a fanout message reaches the worker: its own remote control, shut down by it", async () => {
  const body = new TextEncoder().encode(
    JSON.stringify({
      method: "shutdown",
      arguments: {},
      destination: [hostname],
      pattern: null,
      matcher: null,
    }),
  );
  const message = {
    headers: { clock: 1, expires: null },
    properties: { delivery_mode: 2 },
    contentType: "application/json",
    contentEncoding: "utf-8",
    body,
  };
  const [verdict] = await broker.publish([{
    message,
    to: { exchange: "celery.pidbox", routingKey: "" },
    mustRoute: false,
  }], {
    declare: [{ kind: "exchange", name: "celery.pidbox", type: "fanout", durable: false, autoDelete: false }],
  });
  expect(verdict).toEqual({ is: "confirmed" });
  await until(() => worker.ended !== undefined, { what: "the end of the worker", deadline: 20_000 });
  expect(worker.ended).toBe("exit 0");
});
