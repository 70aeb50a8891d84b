/** Queues and exchanges that a program names: bindings are written, asked for, or left alone. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { redisBroker, type RedisBrokerOptions } from "../../adapters/redis/tcp.ts";
import { transports } from "../../adapters/url.ts";
import { Celery } from "../../mod.ts";
import type { Broker } from "../../src/broker.ts";
import { Worker } from "../../src/worker/worker.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { bareClient } from "./setup.ts";

let server: PrivateServer;
let redis: ReturnType<typeof bareClient>;
const brokers: Broker[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = bareClient(server.url);
});

afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await redis.flushall();
});

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close();
});

function appOf(options: RedisBrokerOptions): Celery {
  const broker = redisBroker(server.url, options);
  brokers.push(broker);
  const app = new Celery("topology", { broker, logger: { log: () => {} } });
  app.task("t.add", (x: number, y: number) => x + y);
  return app;
}

const BINDING = "celery\x06\x16\x06\x16celery";

test("passive: a binding that is missing is told to senders and workers, and nothing is written", async () => {
  const app = appOf({ topology: "passive" });
  const missing = {
    code: "queue-missing",
    message: expect.stringContaining(
      'The queue celery is not bound to the exchange celery by the key "celery".',
    ),
  };
  await expect(app.sendTask("t.add", { args: [1, 2] })).rejects.toMatchObject(missing);
  await expect(new Worker(app).run()).rejects.toMatchObject(missing);
  expect((await redis.keys("*")).filter((key) => !key.startsWith("celeriac:"))).toEqual([]);
});

test("passive: what another program bound is used, with a prefix too", async () => {
  for (const globalKeyprefix of ["", "mine:"]) {
    await redis.sadd(`${globalKeyprefix}_kombu.binding.celery`, BINDING);
    const app = appOf({ topology: "passive", globalKeyprefix });
    await app.sendTask("t.add", { args: [1, 2] });
    expect(await redis.llen(`${globalKeyprefix}celery`)).toBe(1);
    const worker = new Worker(app);
    let runs = 0;
    app.on("taskSuccess", () => {
      runs++;
      void worker.stop();
    });
    await worker.run();
    expect(runs).toBe(1);
  }
});

test("leave: nothing is asked and nothing written, by URL as well", async () => {
  const app = appOf({ topology: "leave" });
  const byUrl = new Celery("url", { transports, logger: { log: () => {} } });
  byUrl.configFromObject({ broker_url: server.url, broker_transport_options: { topology: "leave" } });
  await app.sendTask("t.add", { args: [1, 2] });
  await byUrl.sendTask("t.add", { args: [1, 2] });
  await byUrl.close();
  expect(await redis.llen("celery")).toBe(2);
  expect(await redis.exists("_kombu.binding.celery")).toBe(0);
  expect(() => appOf({ topology: "none" as never })).toThrow(
    expect.objectContaining({ code: "option-invalid" }),
  );
});
