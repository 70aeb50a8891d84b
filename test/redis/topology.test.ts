/** Queues and exchanges that a program names: bindings are written, asked for, or left alone. */
import { expect, test } from "vitest";
import { redisBroker, type RedisBrokerOptions } from "../../adapters/redis/tcp.ts";
import { transports } from "../../adapters/url.ts";
import { Celery } from "../../mod.ts";
import { Worker } from "../../src/worker/worker.ts";
import { ownRedis } from "./own-redis.ts";

const rig = ownRedis();

function appOf(options: RedisBrokerOptions): Celery {
  const broker = redisBroker(rig.url, options);
  rig.kept(broker);
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
  expect((await rig.redis.keys("*")).filter((key) => !key.startsWith("celeriac:"))).toEqual([]);
});

test("passive: what another program bound is used, with a prefix too", async () => {
  for (const globalKeyprefix of ["", "mine:"]) {
    await rig.redis.sadd(`${globalKeyprefix}_kombu.binding.celery`, BINDING);
    const app = appOf({ topology: "passive", globalKeyprefix });
    await app.sendTask("t.add", { args: [1, 2] });
    expect(await rig.redis.llen(`${globalKeyprefix}celery`)).toBe(1);
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
  byUrl.configFromObject({ broker_url: rig.url, broker_transport_options: { topology: "leave" } });
  await app.sendTask("t.add", { args: [1, 2] });
  await byUrl.sendTask("t.add", { args: [1, 2] });
  await byUrl.close();
  expect(await rig.redis.llen("celery")).toBe(2);
  expect(await rig.redis.exists("_kombu.binding.celery")).toBe(0);
  expect(() => appOf({ topology: "none" as never })).toThrow(
    expect.objectContaining({ code: "option-invalid" }),
  );
});
