/** Python's countdown, eta, expires and priority on our workers, beside a worker of Python's that is given the same. */
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { amqpBroker } from "../../../adapters/amqp/tcp.ts";
import { redisBackend, redisBroker } from "../../../adapters/redis/tcp.ts";
import { type Broker, Celery, type CeleryOptions, type Outgoing } from "../../../mod.ts";
import { Worker, type WorkerOptions } from "../../../src/worker/worker.ts";
import { bareClient } from "../../redis/setup.ts";
import { startCeleryWorker } from "../../support/celery-worker.ts";
import { type Python, startCeleryClient } from "../../support/python.ts";
import { startRedis } from "../../support/servers.ts";
import { until } from "../../support/wait.ts";

const backend = inject("redis");
const BROKERS = [
  ["RabbitMQ", inject("amqp"), (url: string): Broker => amqpBroker(url)],
  ["Redis", inject("redis"), (url: string): Broker => redisBroker(url)],
] as const;

interface Ours extends AsyncDisposable {
  readonly app: Celery;
  readonly ran: string[];
  readonly lines: string[];
}

/** Our worker, ready. */
async function work(
  broker: Broker,
  options: CeleryOptions,
  how: WorkerOptions = {},
  url: string = backend,
): Promise<Ours> {
  const lines: string[] = [];
  const ran: string[] = [];
  const app = new Celery("eta", {
    broker,
    backend: redisBackend(url),
    logger: { log: (_level, line) => void lines.push(line) },
    ...options,
  });
  app.task("tasks.now", { bind: true, params: [] }, (task) => {
    ran.push(task.id);
    return Date.now() / 1000;
  });
  const worker = new Worker(app, how);
  const running = worker.run();
  await until(() => lines.some((line) => line.endsWith(" ready.")), {
    what: "our worker",
    deadline: 20_000,
    seen: () => lines.join("\n"),
  });
  return {
    ...{ app, ran, lines },
    async [Symbol.asyncDispose]() {
      await worker.stop();
      await running;
      await app.close();
    },
  };
}

/** An instant as Python's `isoformat` writes it, in this zone; "" is naive. Celery 5.2 reads three digits of a fraction as microseconds. */
function iso(ms: number, zone: string, minutes = 0): string {
  return new Date(ms + minutes * 60_000).toISOString().replace("Z", `000${zone}`);
}

describe.each(BROKERS)("on %s", (_name, url, make) => {
  let python: Python;
  const name = (what: string): string => `${what}-${crypto.randomUUID()}`;

  beforeAll(async () => {
    python = await startCeleryClient({ broker: url, backend });
  });

  afterAll(async () => {
    await python?.stop();
  });

  test("what Python delays and lets expire ends here as with Python's worker: never early, once, REVOKED where it expired", async () => {
    const [here, there] = [name("here"), name("there")];
    await using theirs = await startCeleryWorker({
      broker: url,
      backend,
      queue: there,
      pool: "threads",
      concurrency: 4,
    });
    await using ours = await work(make(url), { workerParkAfter: "500ms" }, { queues: [here] });
    // Python's first look connects, which takes its time.
    await python.call("state", { id: "warm" });
    const due = Date.now() + 2500;
    const cases: readonly (readonly [what: string, options: object, due: number | undefined])[] = [
      ["countdown", { countdown: 2.5 }, due],
      ["countdown, held", { countdown: 0.4 }, Date.now() + 400],
      ["eta, aware", { eta: { iso: iso(due, "+00:00") } }, due],
      ["eta, naive", { eta: { iso: iso(due, "") } }, due],
      ["eta in another zone", { eta: { iso: iso(due, "+05:30", 330) } }, due],
      ["eta as a text", { eta: iso(due, "-08:00", -480) }, due],
      ["eta that is over", { eta: { iso: iso(due - 60_000, "+00:00") } }, 0],
      ["expires in time", { countdown: 1, expires: 60, retry: true, priority: 3 }, Date.now() + 1000],
      ["expires as an instant, in time", {
        eta: { iso: iso(due, "+00:00") },
        expires: { iso: iso(due + 60_000, "+02:00", 120) },
      }, due],
      ["expires while it waits", { countdown: 2.5, expires: 1 }, undefined],
      ["expires as an instant while it waits", {
        countdown: 2.5,
        expires: { iso: iso(due - 1500, "+00:00") },
      }, undefined],
      ["expired already", { expires: { iso: iso(due - 60_000, "+00:00") } }, undefined],
    ];
    const sent = [];
    for (const [what, options, at] of cases) {
      const [own, other] = [here, there].map((queue) =>
        python.call<string>("send_task", { name: "tasks.now", options: { queue, ...options } })
      );
      sent.push({ what, at, own: await own ?? "", other: await other ?? "" });
    }
    for (const { what, at, own, other } of sent) {
      for (const id of [own, other]) {
        const state = await until(async () => {
          const seen = await python.call<{ state: string; result: unknown }>("state", { id });
          return /SUCCESS|REVOKED|FAILURE/.test(seen.state) ? seen : undefined;
        }, { what: `an end of "${what}" ${id === own ? "here" : "there"}`, deadline: 15_000 });
        const told = `${what}, ${id === own ? "here" : "there"}`;
        expect([told, state.state]).toEqual([told, at === undefined ? "REVOKED" : "SUCCESS"]);
        if (at === undefined) expect([told, state.result]).toEqual([told, "TaskRevokedError('expired')"]);
        else expect([told, Math.min(0, Math.round(Number(state.result) * 1000) - at)]).toEqual([told, 0]);
      }
    }
    const run = sent.filter(({ at }) => at !== undefined).map(({ own }) => own);
    expect([...ours.ran].sort()).toEqual([...run].sort());
    expect(theirs.ended).toBeUndefined();
  });

  test("the most urgent of Python's tasks begins first, also of those that were parked", async () => {
    const queue = name("urgent");
    const taskQueues = {
      [queue]: {
        exchange: name("x"),
        exchangeAutoDelete: true,
        routingKey: queue,
        maxPriority: 9,
        expires: 60,
      },
    };
    const broker = make(url);
    const parks = await work(broker, { taskQueues, workerParkAfter: 0 });
    const amqp = broker.features.priority === "high-first";
    const options = amqp ? { exchange: taskQueues[queue]?.exchange, routing_key: queue } : { queue };
    const due = Date.now() + 2000;
    const eta = { iso: iso(due, "+00:00") };
    const ids: string[] = [];
    for (const priority of [4, 9, 0, 7]) {
      ids.push(await python.call("send_task", { name: "tasks.now", options: { ...options, eta, priority } }));
    }
    await until(() => ids.every((id) => parks.lines.some((line) => line.includes(`[${id}] received`))), {
      what: "four",
    });
    await parks[Symbol.asyncDispose]();
    const other = make(url);
    // On Redis they stay apart until a worker asks for them.
    await until(async () => amqp ? await other.count(queue) === 4 : Date.now() > due + 100, {
      what: "four that are due",
      deadline: 10_000,
    });
    await using ours = await work(other, { taskQueues }, { concurrency: 1, prefetchMultiplier: 1 });
    await until(() => ours.ran.length === 4, { what: "four runs", deadline: 10_000 });
    const of = (at: number): string => ids[at] ?? "";
    // Four steps on Redis, of which 4 and 7 are two.
    expect(ours.ran).toEqual(amqp ? [of(1), of(3), of(0), of(2)] : [of(2), of(0), of(3), of(1)]);
  });

  test("instants that make no sense are refused, and their neighbours run", async () => {
    const queue = name("hostile");
    const broker = make(url);
    await using ours = await work(broker, { workerParkAfter: "1s" }, { queues: [queue] });
    // RabbitMQ closes the connection over a double that is no number, and kombu's JSON has no objects of AMQP.
    const own = broker.features.priority === "high-first"
      ? [new Date(0), { deep: [{ er: 1 }] }, new Uint8Array(9)]
      : [];
    const odd: unknown[] = [
      ...["", "NaN", "infinity", "0000-01-01T00:00:00", "+275760-09-13T00:00:00Z", "1".repeat(70_000)],
      ...[5, -1, 2 ** 31, 2 ** 53, 1e300, true, ["2030-01-01"]],
      ...own,
    ];
    const ids: string[] = [];
    const send = async (headers: object): Promise<string> => {
      const id = crypto.randomUUID();
      const outgoing: Outgoing = {
        message: {
          headers: { task: "tasks.now", id, ...headers },
          properties: { correlation_id: id, delivery_mode: 2 },
          contentType: "application/json",
          contentEncoding: "utf-8",
          body: new TextEncoder().encode("[[], {}, {}]"),
        },
        to: { exchange: "", routingKey: queue },
        mustRoute: true,
      };
      expect(await broker.publish([outgoing])).toEqual([{ is: "confirmed" }]);
      return id;
    };
    for (const value of odd) {
      await send({ eta: value });
      await send({ expires: value });
      ids.push(await send({}));
    }
    // What Python's json writes where it is asked to, and a datetime of kombu's.
    const raw = own.length > 0
      ? []
      : ["NaN", "-Infinity", '{"__type__": "datetime", "__value__": "2030-01-01T00:00:00"}'];
    await using redis = bareClient(backend);
    for (const text of raw) {
      const id = crypto.randomUUID();
      const info = { exchange: "", routing_key: queue };
      const envelope = JSON.stringify({
        body: btoa("[[], {}, {}]"),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        headers: { task: "tasks.now", id, eta: "HERE" },
        properties: {
          body_encoding: "base64",
          delivery_info: info,
          delivery_tag: id,
          correlation_id: id,
          priority: 0,
        },
      });
      await redis.lpush(queue, envelope.replace('"HERE"', text));
    }
    // Two months, and the end of time: parked.
    await send({ eta: iso(Date.now() + 60 * 86_400_000, "+00:00") });
    await send({ eta: "9999-12-31T23:59:59.999999+00:00" });
    ids.push(await send({}));
    await until(() => ids.every((id) => ours.ran.includes(id)), { what: "all neighbours", deadline: 15_000 });
    const refused = (): number =>
      ours.lines.filter((line) => line.startsWith("Received invalid task message")).length;
    await until(() => refused() === 2 * odd.length + raw.length, {
      what: "all refused",
      seen: () => String(refused()),
    });
    await until(async () => await broker.count(queue) === 0, { what: "an empty queue" });
    expect(ours.ran.length).toBe(ids.length);
    expect(ours.lines.filter((line) => /Couldn't|Unrecoverable/.test(line))).toEqual([]);
  });
});

test("A03, mixed: a task beyond the visibility timeout of all runs once, though a Python worker looks for what is overdue", async () => {
  await using server = await startRedis();
  await using python = await startCeleryClient({ broker: server.url, backend: server.url });
  const transport = { visibility_timeout: 3 };
  const make = (): Broker => redisBroker(server.url, { visibilityTimeout: "3s" });
  await using a = await work(make(), { workerParkAfter: "1s" }, { queues: ["mixed"] }, server.url);
  await using b = await work(make(), { workerParkAfter: "1s" }, { queues: ["mixed"] }, server.url);
  const due = Date.now() + 9000;
  const options = { queue: "mixed", eta: { iso: iso(due, "+00:00") } };
  const ids: string[] = [];
  for (let at = 0; at < 5; at++) ids.push(await python.call("send_task", { name: "tasks.now", options }));
  await until(() => a.lines.concat(b.lines).filter((line) => line.endsWith(" received")).length === 5, {
    what: "all",
  });
  await using redis = bareClient(server.url);
  // What Python's would find once it begins: it puts back at its start what is overdue.
  await until(() => Date.now() > due - 5500, { what: "the visibility timeout", deadline: 10_000 });
  await using theirs = await startCeleryWorker({
    ...{ broker: server.url, backend: server.url, queue: "mixed" },
    conf: { broker_transport_options: transport },
  });
  const values = await Promise.all(
    ids.map((id) => python.call<{ value: number }>("get", { id, timeout: 20 })),
  );
  for (const { value } of values) expect(Math.round(value * 1000)).toBeGreaterThanOrEqual(due);
  await until(async () => await redis.exists("unacked", "unacked_index", "mixed") === 0, {
    what: "nothing left",
  });
  const there = ids.filter((id) => new RegExp(`Task tasks\\.now\\[${id}\\] succeeded`).test(theirs.log));
  expect([...a.ran, ...b.ran, ...there].sort()).toEqual([...ids].sort());
});
