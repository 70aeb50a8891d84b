/** Real Celery and celeriac on one Redis: producers and workers of either kind on the same queues, and what becomes of what one left. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { transports } from "../../adapters/url.ts";
import { Celery } from "../../mod.ts";
import { Worker } from "../../src/worker/mod.ts";
import { ROOT, startCeleriac } from "../support/celeriac.ts";
import { startCeleryWorker } from "../support/celery-worker.ts";
import type { Child } from "../support/child.ts";
import { type Python, startCeleryClient } from "../support/python.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { bareClient } from "../redis/setup.ts";

let server: PrivateServer;
let python: Python;
let redis: ReturnType<typeof bareClient>;
const open: AsyncDisposable[] = [];

beforeAll(async () => {
  server = await startRedis();
  python = await startCeleryClient({ broker: server.url, backend: server.url });
  redis = bareClient(server.url);
}, 60_000);

afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
  await python?.stop();
  await server?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await redis.flushall();
});

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

function celeriac(conf: Readonly<Record<string, unknown>> = {}): { app: Celery; ran: string[] } {
  const ran: string[] = [];
  const app = new Celery("fleet", { transports, logger: { log: () => {} } });
  open.push(app);
  app.configFromObject({ broker_url: server.url, result_backend: server.url, ...conf });
  app.task("tasks.add", { params: ["x", "y"], bind: true }, (task, x: number, y: number) => {
    ran.push(task.id);
    return x + y;
  });
  return { app, ran };
}

/** Runs it until the test ends. */
function work(app: Celery, options: ConstructorParameters<typeof Worker>[1]): void {
  const worker = new Worker(app, options);
  open.push(worker);
  void worker.run();
}

/** Our worker in a process of its own, which can be killed. */
async function startOurs(queue: string, conf: Readonly<Record<string, unknown>>): Promise<Child> {
  const child = startCeleriac([
    ...["-A", `${ROOT}test/interop/fixtures/fleet.ts`, "worker", "-Q", queue, "-c", "2", "-l", "info"],
  ], {
    env: {
      CELERIAC_TEST_BROKER: server.url,
      CELERIAC_TEST_BACKEND: server.url,
      CELERIAC_TEST_CONF: JSON.stringify(conf),
    },
  });
  await child.saw(/ ready\./);
  return child;
}

const valueOf = async (id: string): Promise<unknown> =>
  (await python.call<{ value: unknown }>("get", { id, timeout: 30 })).value;

/** Nothing is left in a queue, nor held by anybody. */
async function drained(queue: string): Promise<void> {
  await until(async () => await redis.exists(queue, "unacked", "unacked_index") === 0, {
    what: "empty keys",
  });
}

test("one queue, a Python worker and ours, a Python producer and ours: everything runs once, on either of them", async () => {
  const own = celeriac();
  const options = { queue: "both" };
  await using _worker = await startCeleryWorker({
    ...{ broker: server.url, backend: server.url, queue: "both", loglevel: "info" },
    conf: { worker_prefetch_multiplier: 1 },
  });
  work(own.app, { queues: ["both"], concurrency: 1, prefetchMultiplier: 1 });
  const sums = Array.from({ length: 100 }, (_, at) => at);
  const [theirs, ours] = await Promise.all([
    python.call<string[]>("send_many", { name: "tasks.add", each: sums.map((at) => [at, 1]), options }),
    Promise.all(sums.map((at) => own.app.sendTask("tasks.add", { args: [at, 2], ...options }))),
  ]);
  const ids = [...theirs, ...ours.map(({ id }) => id)];
  expect(new Set(ids).size).toBe(200);
  expect(await Promise.all(theirs.map((id) => own.app.result(id).get({ timeout: 30 })))).toEqual(
    sums.map((at) => at + 1),
  );
  for (const [at, { id }] of ours.entries()) expect(await valueOf(id)).toBe(at + 2);
  await drained("both");
  const here = new Set(own.ran);
  const there = ids.filter((id) => _worker.log.includes(`Task tasks.add[${id}] received`));
  expect(own.ran.length).toBe(here.size);
  expect(here.size + there.length).toBe(200);
  expect([here.size > 0, there.length > 0]).toEqual([true, true]);
});

test("the priorities of a Python producer count here as there: 0 first", async () => {
  const own = celeriac();
  const ids: string[] = [];
  for (const priority of [9, 3, 0, 6, 0]) {
    const options = { queue: "steps", priority };
    ids.push(await python.call<string>("send_task", { name: "tasks.add", args: [1, 1], options }));
  }
  work(own.app, { queues: ["steps"], concurrency: 1, prefetchMultiplier: 1 });
  for (const id of ids) expect(await valueOf(id)).toBe(2);
  expect(own.ran).toEqual([ids[2], ids[4], ids[1], ids[3], ids[0]]);
});

test("what our worker held when it was killed, a Python worker runs: its sweep puts it back into its queue", async () => {
  const transport = { visibility_timeout: 1 };
  const child = await startOurs("left", {
    task_acks_late: true,
    broker_transport_options: { visibility_timeout: 3600 },
  });
  const send = (args: unknown[], name = "tasks.sleep") =>
    python.call<string>("send_task", { name, args, options: { queue: "left" } });
  const ids = [await send([3600]), await send([3600]), await send([2, 3], "tasks.add")];
  await until(async () => await redis.hlen("unacked") === 3, { what: "what our worker holds" });
  await child.stop("SIGKILL");
  await until(async () => {
    const youngest = await redis.zrange("unacked_index", "-1", "-1", "WITHSCORES");
    return Date.now() / 1000 - Number(youngest[1]) > 1.2;
  }, { what: "the visibility timeout" });
  await using worker = await startCeleryWorker({
    ...{ broker: server.url, backend: server.url, queue: "left", pool: "threads", concurrency: 3 },
    conf: { broker_transport_options: transport },
  });
  expect(await valueOf(ids[2] ?? "")).toBe(5);
  await worker.saw(new RegExp(`Task tasks.sleep\\[${ids[0]}\\] received`));
  await worker.saw(new RegExp(`Task tasks.sleep\\[${ids[1]}\\] received`));
  await worker.stop("SIGKILL");
});

test("what a Python worker held when it was killed, ours runs, in its order", async () => {
  const worker = await startCeleryWorker({
    ...{ broker: server.url, backend: server.url, queue: "left", pool: "threads" },
    conf: { task_acks_late: true, worker_prefetch_multiplier: 4 },
  });
  const send = (name: string, args: unknown[]) =>
    python.call<string>("send_task", { name, args, options: { queue: "left" } });
  const blocking = await send("tasks.sleep", [3600]);
  const ids = [
    await send("tasks.add", [1, 1]),
    await send("tasks.add", [2, 2]),
    await send("tasks.add", [3, 3]),
  ];
  await until(async () => await redis.hlen("unacked") === 4, { what: "what Python's worker holds" });
  await worker.stop("SIGKILL");
  expect(await redis.hlen("unacked")).toBe(4);
  const own = celeriac({ broker_transport_options: { visibility_timeout: 2 } });
  let slept = 0;
  own.app.task("tasks.sleep", { params: ["seconds"] }, (_seconds: number) => void slept++);
  work(own.app, { queues: ["left"], concurrency: 1 });
  expect(await Promise.all(ids.map(valueOf))).toEqual([2, 4, 6]);
  expect(await own.app.result(blocking).get({ timeout: 10 })).toBe(null);
  expect([own.ran, slept]).toEqual([ids, 1]);
  await drained("left");
});
