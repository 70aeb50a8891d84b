/** Redis, or the way to it, goes while a worker has a task in hand. */
import { expect, test } from "vitest";
import { memoryBackend } from "../../../adapters/memory/mod.ts";
import { upstashBroker } from "../../../adapters/redis/http.ts";
import { redisBroker } from "../../../adapters/redis/tcp.ts";
import { Celery, type CeleryOptions } from "../../../mod.ts";
import { type Deferred, deferred } from "../../../src/lib/deferred.ts";
import { Worker, type WorkerOptions } from "../../../src/worker/worker.ts";
import { startGateway } from "../../support/gateway.ts";
import { startRedis } from "../../support/servers.ts";
import { until } from "../../support/wait.ts";
import { ownRedis } from "../own-redis.ts";
import { bareClient, through } from "../setup.ts";

const own = ownRedis({ proxy: true });

/** A worker with two tasks that wait at a gate, and a sender beside it. */
interface Rig extends AsyncDisposable {
  readonly worker: Worker;
  readonly queue: string;
  /** The numbers of the tasks that began. */
  readonly runs: number[];
  readonly lines: string[];
  readonly gate: Deferred<void>;
  /** Sends a task; its id. */
  send(name: "t.early" | "t.late" | "t.fails", number: number): Promise<string>;
  result(id: string): Promise<unknown>;
  /** Resolves once the worker has tried in vain to connect some times more: what else waits for the link has tried, too. */
  troubles(): Promise<void>;
}

async function rig(url: string, direct: string, more: CeleryOptions & WorkerOptions = {}): Promise<Rig> {
  const queue = crypto.randomUUID();
  const [runs, lines]: [number[], string[]] = [[], []];
  const gate = deferred<void>();
  const { concurrency = 4, prefetchMultiplier = 4, ...settings } = more;
  const app = new Celery("worker", {
    broker: redisBroker(url, { reconnectMax: "100ms", connectTimeout: "500ms", commandTimeout: "500ms" }),
    backend: memoryBackend(),
    taskDefaultQueue: queue,
    logger: { log: (level, message) => void lines.push(`${level} ${message}`) },
    ...settings,
  });
  const body = async (number: number): Promise<number> => {
    runs.push(number);
    await gate.promise;
    return number;
  };
  app.task("t.early", body);
  app.task("t.late", { acksLate: true }, body);
  app.task("t.fails", { acksLate: true }, () => {
    throw new Error("as planned");
  });
  const sender = new Celery("sender", { broker: redisBroker(direct), taskDefaultQueue: queue });
  const worker = new Worker(app, { concurrency, prefetchMultiplier });
  const run = worker.run();
  await until(() => worker.health().healthy, { what: "a worker that consumes", deadline: 20_000 });
  return {
    ...{ worker, queue, runs, lines, gate },
    send: async (name, number) => (await sender.sendTask(name, { args: [number] })).id,
    result: (id) => app.result(id).get({ timeout: 20 }),
    async troubles() {
      const count = (): number => lines.filter((line) => line.includes("Cannot connect")).length;
      const before = count();
      await until(() => count() >= before + 3, { what: "three attempts in vain", deadline: 20_000 });
    },
    async [Symbol.asyncDispose]() {
      gate.resolve();
      await worker.stop();
      await run;
      await app.close();
      await sender.close();
    },
  };
}

test("a link that is cut in the run: acked early or late, the task goes on, its ack waits for the link, it runs once", async () => {
  await using bench = await rig(through(own.url, own.proxy.port), own.url);
  const ids = [await bench.send("t.early", 1), await bench.send("t.late", 2)];
  await until(async () => bench.runs.length === 2 && await own.redis.hlen("unacked") === 1, {
    what: "both run, and the early one is acked",
  });
  own.proxy.blackhole("both");
  own.proxy.cut();
  await bench.troubles();
  bench.gate.resolve();
  expect(await Promise.all(ids.map((id) => bench.result(id)))).toEqual([1, 2]);
  await bench.troubles();
  expect(await own.redis.hlen("unacked")).toBe(1);
  own.proxy.heal();
  await until(async () => await own.redis.hlen("unacked") === 0, { what: "the ack" });
  expect(await bench.result(await bench.send("t.late", 3))).toBe(3);
  await until(async () => await own.redis.exists("unacked", bench.queue) === 0, { what: "nothing left" });
  expect(bench.runs.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
});

test("a server that is killed in the run, with an append-only file: acked early or late, the task goes on, its ack waits, it runs once", async () => {
  await using server = await startRedis();
  await using bench = await rig(server.url, server.url);
  const ids = [await bench.send("t.early", 1), await bench.send("t.late", 2)];
  await using redis = bareClient(server.url);
  await until(async () => bench.runs.length === 2 && await redis.hlen("unacked") === 1, {
    what: "both run, and the early one is acked",
  });
  await server.kill9();
  await bench.troubles();
  bench.gate.resolve();
  expect(await Promise.all(ids.map((id) => bench.result(id)))).toEqual([1, 2]);
  await bench.troubles();
  await server.start();
  expect(await bench.result(await bench.send("t.late", 3))).toBe(3);
  await until(async () => await redis.exists("unacked", bench.queue) === 0, { what: "nothing left" });
  expect(bench.runs.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
});

test("a queue that is deleted under a worker: what was ready is gone, what runs goes on, and what is sent next runs", async () => {
  await using bench = await rig(own.url, own.url, { concurrency: 1, prefetchMultiplier: 1 });
  const first = await bench.send("t.late", 1);
  await until(() => bench.runs.length === 1, { what: "the first runs" });
  await bench.send("t.late", 2);
  expect(await own.redis.llen(bench.queue)).toBe(1);
  // What kombu's queue.delete does.
  await own.redis.del(bench.queue, `_kombu.binding.${bench.queue}`);
  bench.gate.resolve();
  expect(await bench.result(first)).toBe(1);
  expect(await bench.result(await bench.send("t.late", 3))).toBe(3);
  await until(async () => await own.redis.exists("unacked", bench.queue) === 0, { what: "nothing left" });
  expect(bench.runs).toEqual([1, 3]);
  expect(bench.worker.health().healthy).toBe(true);
});

test("a task that fails and is not to be acked for it is rejected: its message is gone, its failure stored", async () => {
  await using bench = await rig(own.url, own.url, { taskAcksOnFailureOrTimeout: false });
  const id = await bench.send("t.fails", 1);
  await expect(bench.result(id)).rejects.toMatchObject({ excMessage: ["as planned"] });
  await until(async () => await own.redis.exists("unacked", bench.queue) === 0, { what: "nothing left" });
});

test("what was confirmed over HTTP is there after the Redis behind it was killed, with an append-only file", async () => {
  await using server = await startRedis();
  await using gateway = await startGateway({ redis: server.url });
  await using app = new Celery("http", {
    broker: upstashBroker({ url: gateway.url, token: gateway.token }),
    taskDefaultQueue: "q",
  });
  const { id } = await app.sendTask("t.any", { args: [1] });
  await server.kill9();
  await server.start();
  await using bench = await rig(server.url, server.url, { taskDefaultQueue: "q" });
  bench.gate.resolve();
  await until(() => bench.lines.some((line) => line.includes("t.any") && line.includes(id)), {
    what: "its receipt",
    seen: () => bench.lines.join("\n"),
  });
});
