/** What is held for long is not given out again while its worker lives: until an ETA, through a long run; with kombu's sweep over all of it. */
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kill } from "node:process";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { redisBroker, type RedisBrokerOptions } from "../../../adapters/redis/tcp.ts";
import { Celery } from "../../../mod.ts";
import type { Duration } from "../../../src/lib/duration.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { withProbe } from "../../../src/worker/probe.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { startCeleryWorker } from "../../support/celery-worker.ts";
import { type Python, startPython } from "../../support/python.ts";
import { type PrivateServer, startRedis } from "../../support/servers.ts";
import { pause, until } from "../../support/wait.ts";
import { bareClient } from "../setup.ts";
import type { Orders } from "./kill/orders.ts";
import { bundleWorker } from "../../support/bundle-worker.ts";

let server: PrivateServer;
let kombu: Python;
let redis: ReturnType<typeof bareClient>;
const clean: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  [server, kombu] = await Promise.all([startRedis(), startPython("kombu_steps.py")]);
  redis = bareClient(server.url);
  await kombu.call("open", { name: "sweeper", url: server.url, queues: [], visibility_timeout: 1 });
});

beforeEach(async () => void await redis.flushall());

afterEach(async () => {
  for (const one of clean.splice(0).reverse()) await one();
});

afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
  await kombu?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** A run of a task, and whether its message was told to have been given out before. */
interface Ran {
  readonly task: string;
  readonly at: number;
  readonly redelivered: boolean;
}

/** A worker of ours. */
function work(
  queue: string,
  ran: Ran[],
  { workerParkAfter = "5s", ...options }: RedisBrokerOptions & { readonly workerParkAfter?: Duration } = {},
): Worker {
  const app = new Celery("hold", {
    broker: redisBroker(server.url, { visibilityTimeout: "1s", ...options }),
    taskDefaultQueue: queue,
    taskAcksLate: true,
    workerParkAfter,
    logger: silentLogger,
  });
  app.task("hold.run", (ms: number) => pause(ms));
  app.task("tasks.add", (x: number, y: number) => x + y);
  const probe = {
    at: (
      point: string,
      { delivery, message }: { delivery: { redelivered: boolean }; message: { id: string } },
    ): boolean => {
      if (point === "started") {
        ran.push({ task: message.id, at: Date.now(), redelivered: delivery.redelivered });
      }
      return false;
    },
    dismissed: () => {},
  };
  const worker = new Worker(app, withProbe({ concurrency: 10 }, probe));
  const running = worker.run();
  clean.push(async () => {
    await worker.stop();
    await running;
    await app.close();
  });
  return worker;
}

function feed(queue: string): Celery {
  const app = new Celery("feed", { broker: redisBroker(server.url), taskDefaultQueue: queue });
  clean.push(() => app.close());
  return app;
}

/** kombu's sweep with a visibility timeout of 1 s, as often as it can, while `look` says no. */
async function sweepUntil(look: () => boolean | Promise<boolean>, deadline: number): Promise<void> {
  await until(async () => {
    await kombu.call("clock", { seconds: Date.now() / 1000 });
    await kombu.call("sweep", { name: "sweeper" });
    return await look();
  }, { what: "an end, under kombu's sweep", deadline, every: 50 });
}

const nothingLeft = async (queue: string): Promise<boolean> =>
  await redis.llen(queue) === 0 && await redis.hlen("unacked") === 0;

test(
  "A03: tasks with an ETA beyond the visibility timeout run once, beside a Celery worker and kombu's sweep",
  async () => {
    const queue = "a03";
    const [ran, python]: [Ran[], string[]] = [[], []];
    await using celery = await startCeleryWorker({
      broker: server.url,
      queue,
      conf: { broker_transport_options: { visibility_timeout: 1 } },
    });
    // It is the third one of the fleet; what it would take itself it holds by kombu's rules, so that it is frozen until ours hold all.
    kill(-celery.pid, "SIGSTOP");
    await until(async () => /blocked_clients:0/.test(await redis.info("clients")), {
      what: "the end of its BRPOP",
    });
    work(queue, ran);
    work(queue, ran);
    const app = feed(queue);
    const eta = new Date(Date.now() + 4000);
    const sent = await app.sendMany(Array.from({ length: 10 }, () => ({ name: "hold.run", args: [0], eta })));
    await until(async () => await redis.hlen("unacked") === 10, { what: "all of them held" });
    kill(-celery.pid, "SIGCONT");
    await sweepUntil(async () => ran.length >= 10 && await nothingLeft(queue), 20_000);
    // A second run would have begun by now.
    await sweepUntil(() => Date.now() > eta.getTime() + 1500, 10_000);
    python.push(...[...celery.log.matchAll(/received/g)].map(([text]) => text));
    expect(python).toEqual([]);
    expect(ran.map(({ task }) => task).sort()).toEqual(
      sent.map((outcome) => outcome.status === "fulfilled" ? outcome.value.id : "").sort(),
    );
    for (const { at, redelivered } of ran) {
      expect(at).toBeGreaterThanOrEqual(eta.getTime());
      expect(redelivered).toBe(false);
    }
  },
  90_000,
);

test(
  "A03: tasks that are parked beyond the visibility timeout run once, by ours or by a Celery worker, under kombu's sweep",
  async () => {
    const queue = "a03parked";
    const ran: Ran[] = [];
    await using celery = await startCeleryWorker({
      broker: server.url,
      backend: server.url,
      queue,
      conf: { broker_transport_options: { visibility_timeout: 1 } },
    });
    // Until ours have parked them: it would hold what it takes.
    kill(-celery.pid, "SIGSTOP");
    await until(async () => /blocked_clients:0/.test(await redis.info("clients")), {
      what: "the end of its BRPOP",
    });
    work(queue, ran, { workerParkAfter: "500ms" });
    work(queue, ran, { workerParkAfter: "500ms" });
    const app = feed(queue);
    const eta = new Date(Date.now() + 5000);
    const sent = await app.sendMany(
      Array.from({ length: 10 }, (_, at) => ({ name: "tasks.add", args: [at, 1], eta })),
    );
    const parked = `celeriac:parked:${queue}`;
    await until(async () => await redis.zcard(parked) === 10, { what: "all of them parked" });
    expect(Date.now()).toBeLessThan(eta.getTime());
    kill(-celery.pid, "SIGCONT");
    const python = (): string[] =>
      [...celery.log.matchAll(/Task tasks\.add\[(\S+?)\] succeeded/g)].map(([, id = ""]) => id);
    await sweepUntil(async () => ran.length + python().length >= 10 && await nothingLeft(queue), 30_000);
    // A second run would have begun by now.
    await sweepUntil(() => Date.now() > eta.getTime() + 2500, 15_000);
    expect([...ran.map(({ task }) => task), ...python()].sort()).toEqual(
      sent.map((outcome) => outcome.status === "fulfilled" ? outcome.value.id : "").sort(),
    );
    for (const { at } of ran) expect(at).toBeGreaterThanOrEqual(eta.getTime());
    expect(await redis.zcard(parked)).toBe(0);
    console.log(`${ran.length} ran here, ${python().length} in Python`);
  },
  90_000,
);

test(
  "A04: a task that runs for longer than the visibility timeout runs once, by renewal of its lease",
  async () => {
    const queue = "a04";
    const ran: Ran[] = [];
    work(queue, ran);
    work(queue, ran);
    await feed(queue).sendTask("hold.run", { args: [4000] });
    await sweepUntil(async () => ran.length > 0 && await nothingLeft(queue), 30_000);
    expect(ran).toMatchObject([{ redelivered: false }]);
  },
  60_000,
);

test(
  "A04: a task of a worker that is frozen runs again, flagged; what the frozen one says afterwards changes nothing",
  async () => {
    const queue = "a04frozen";
    const folder = mkdtempSync(join(tmpdir(), "celeriac-frozen-"));
    clean.push(() => Promise.resolve(rmSync(folder, { recursive: true, force: true })));
    const script = await bundleWorker(new URL("./kill/worker.ts", import.meta.url), folder);
    const file = join(folder, "record.log");
    const log = openSync(file, "a");
    const orders: Orders = {
      ...{ broker: server.url, backend: server.url, queue, workers: 1, concurrency: 3 },
      ...{ consumerTimeout: "1s", visibilityTimeout: "1s", log: 3 },
    };
    const child = spawn(process.execPath, [script, JSON.stringify(orders)], {
      stdio: ["pipe", "pipe", "inherit", log],
    });
    const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    clean.push(async () => {
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      await exit;
    });
    const record = (): string => readFileSync(file, "utf8");
    const { id } = await feed(queue).sendTask("kill.late", { args: [1500] });
    await until(() => record().includes(` run ${id}`), { what: "its first run", deadline: 20_000 });
    child.kill("SIGSTOP");
    const ran: Ran[] = [];
    const app = new Celery("second", {
      broker: redisBroker(server.url, { visibilityTimeout: "1s", consumerTimeout: "1s" }),
      ...{ taskDefaultQueue: queue, taskAcksLate: true, logger: silentLogger },
    });
    let release: () => void = () => {};
    app.task("kill.late", () => new Promise<void>((resolve) => release = resolve));
    const worker = new Worker(
      app,
      withProbe({}, {
        at: (point, { delivery, message }) => {
          if (point === "started") {
            ran.push({ task: message.id, at: Date.now(), redelivered: delivery.redelivered });
          }
          return false;
        },
        dismissed: () => {},
      }),
    );
    const running = worker.run();
    clean.push(async () => {
      await worker.stop();
      await running;
      await app.close();
    });
    await until(() => ran.length === 1, { what: "its second run", deadline: 20_000 });
    child.kill("SIGCONT");
    await until(() => record().includes(` settled ${id}`), {
      what: "the end of the first run",
      deadline: 20_000,
    });
    expect(ran).toMatchObject([{ task: id, redelivered: true }]);
    // The second one holds it still, whatever the first one said.
    await until(() => record().includes(` lost ${id}`), { what: "news of the lost lease", deadline: 10_000 });
    expect(await redis.hlen("unacked")).toBe(1);
    release();
    await until(() => nothingLeft(queue), { what: "the end of the second run" });
    expect(record().match(/ run /g)).toHaveLength(1);
  },
  90_000,
);
