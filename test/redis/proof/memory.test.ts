/** A Redis whose memory is full, or that throws keys away, and waits for results that only lose their pub/sub connection. */
import { expect, test } from "vitest";
import { redisBackend, redisBroker } from "../../../adapters/redis/tcp.ts";
import { Celery } from "../../../mod.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { until } from "../../support/wait.ts";
import { ownRedis } from "../own-redis.ts";

const own = ownRedis();

test("A31: a worker that starts on a Redis that may throw queues away says so", async () => {
  for (const [policy, warns] of [["noeviction", 0], ["allkeys-lru", 1], ["volatile-ttl", 1]] as const) {
    await own.redis.config("SET", "maxmemory-policy", policy);
    const lines: string[] = [];
    await using app = new Celery("warned", {
      broker: redisBroker(own.url),
      taskDefaultQueue: crypto.randomUUID(),
      logger: { log: (level, message) => void lines.push(`${level} ${message}`) },
    });
    const worker = new Worker(app);
    const running = worker.run();
    await until(() => lines.some((line) => / ready\.$/.test(line)), { what: "ready" });
    await until(() => lines.filter((line) => line.startsWith("warning ")).length >= warns, {
      what: `the warning of ${policy}`,
    });
    await worker.stop();
    await running;
    expect(lines.filter((line) => line.startsWith("warning "))).toEqual(
      warns === 0 ? [] : [expect.stringMatching(new RegExp(`maxmemory-policy is ${policy}`))],
    );
  }
  await own.redis.config("SET", "maxmemory-policy", "noeviction");
});

test("A31: a full memory refuses publishes with an error; what is there is run, and nothing is lost", async () => {
  const queue = crypto.randomUUID();
  const ran: number[] = [];
  await using app = new Celery("full", {
    broker: redisBroker(own.url),
    ...{ taskDefaultQueue: queue, taskAcksLate: true, logger: silentLogger, taskPublishRetry: false },
  });
  app.task("full.run", (n: number) => void ran.push(n));
  for (let n = 0; n < 20; n++) await app.sendTask("full.run", { args: [n] });
  await own.redis.config("SET", "maxmemory", "1");
  const worker = new Worker(app, { concurrency: 2 });
  try {
    await expect(app.sendTask("full.run", { args: [99] })).rejects.toMatchObject({ code: "publish-refused" });
    const running = worker.run();
    // Full as it is, it gives out and settles what it has.
    await until(async () => ran.length === 20 && await own.redis.hlen("unacked") === 0, {
      what: "the tasks of a full server",
    });
    await own.redis.config("SET", "maxmemory", "0");
    await app.sendTask("full.run", { args: [20] });
    await until(() => ran.length === 21, { what: "a task after it" });
    await worker.stop();
    await running;
  } finally {
    await own.redis.config("SET", "maxmemory", "0");
  }
  expect(ran.sort((a, b) => a - b)).toEqual(Array.from({ length: 21 }, (_, n) => n));
  expect(await own.redis.exists(queue, "unacked", "unacked_index")).toBe(0);
});

test("A23: a get() whose pub/sub connection alone is killed, again and again, resolves within the poll interval", async () => {
  await using writer = Object.assign(redisBackend(own.url), {
    [Symbol.asyncDispose]: () => writer.close(),
  });
  await using app = new Celery("waits", { backend: redisBackend(own.url, { pollInterval: "300ms" }) });
  for (let turn = 0; turn < 5; turn++) {
    const id = crypto.randomUUID();
    const getting = app.result<number>(id).get({ timeout: 10 });
    await until(async () => Number((await own.redis.pubsub("NUMSUB", `celery-task-meta-${id}`))[1]) === 1, {
      what: "the subscription",
    });
    await own.redis.call("CLIENT", ["KILL", "TYPE", "pubsub"]);
    const begun = performance.now();
    const text =
      `{"status": "SUCCESS", "result": ${turn}, "traceback": null, "children": [], "task_id": "${id}"}`;
    await writer.store({ taskId: id, status: "SUCCESS", text }, { ttl: 60_000 });
    expect(await getting).toBe(turn);
    // The machine is shared: a margin for its other work.
    expect(performance.now() - begun).toBeLessThan(300 + 1000);
  }
});
