import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { amqpBroker } from "../../../adapters/amqp/tcp.ts";
import { redisBroker } from "../../../adapters/redis/tcp.ts";
import { type Broker, Celery, type CeleryOptions, Reject } from "../../../mod.ts";
import { innerOf } from "../../../src/app/inner.ts";
import { Worker, type WorkerOptions } from "../../../src/worker/worker.ts";
import { startCeleryWorker } from "../../support/celery-worker.ts";
import { type Python, startCeleryClient } from "../../support/python.ts";
import { until } from "../../support/wait.ts";

let python: Python;
const brokers: Broker[] = [];
const name = (what: string): string => `${what}.${crypto.randomUUID()}`;

beforeAll(async () => {
  python = await startCeleryClient({ broker: inject("amqp") });
});

afterAll(async () => {
  await python?.stop();
  await Promise.all(brokers.map((broker) => broker.close()));
});

function rabbit(options: Parameters<typeof amqpBroker>[1] = {}): Broker {
  const broker = amqpBroker(inject("amqp"), options);
  brokers.push(broker);
  return broker;
}

function appOn(broker: Broker, options: CeleryOptions): Celery {
  return new Celery("topology", { broker, logger: { log: () => {} }, ...options });
}

/** Works until it is disposed of. */
async function work(app: Celery, options: WorkerOptions = {}): Promise<AsyncDisposable> {
  const worker = new Worker(app, options);
  let ready = false;
  app.on("workerReady", () => void (ready = true));
  const running = worker.run();
  await until(() => ready, { what: "the worker", deadline: 10_000 });
  return {
    async [Symbol.asyncDispose]() {
      await worker.stop();
      await running;
    },
  };
}

describe("on RabbitMQ", () => {
  test("a broadcast of ours and one of Python's come to each of two workers; their queues go with them", async () => {
    const reload = name("reload");
    const seen: string[] = [];
    const queues = new Set<string>();
    const apps = ["a@h", "b@h"].map(() => {
      const app = appOn(rabbit(), {
        taskQueues: { [reload]: { broadcast: true, exchangeAutoDelete: true } },
      });
      app.task("reload", { bind: true }, (task, from: string) => {
        seen.push(`${task.hostname} ${from}`);
        queues.add(task.delivery.queue);
      });
      return app;
    });
    {
      await using _a = await work(apps[0] as Celery, { hostname: "a@h" });
      await using _b = await work(apps[1] as Celery, { hostname: "b@h" });
      await apps[0]?.sendTask("reload", { args: ["ours"], queue: reload });
      await python.call("send_task", {
        name: "reload",
        args: ["python"],
        options: { exchange: reload, routing_key: "celery" },
      });
      await until(() => seen.length === 4, { what: "four runs", deadline: 10_000 });
    }
    expect([...seen].sort()).toEqual(["a@h ours", "a@h python", "b@h ours", "b@h python"]);
    expect(queues.size).toBe(2);
    const passive = rabbit({ topology: "passive" });
    for (const queue of queues) {
      const entity = {
        kind: "queue",
        name: queue,
        durable: true,
        exclusive: false,
        autoDelete: true,
      } as const;
      await expect(passive.declare([entity])).rejects.toMatchObject({ code: "queue-missing" });
    }
  });

  test("a worker's own queue takes what Python and ours send to it by name", async () => {
    const app = appOn(rabbit(), { workerDirect: true, taskQueues: { [name("q")]: { expires: 60 } } });
    const seen: string[] = [];
    app.task("ping", (from: string) => void seen.push(from));
    const hostname = name("w@h");
    await using _worker = await work(app, { hostname });
    await app.sendTask("ping", { args: ["ours"], queue: `${hostname}.dq2` });
    await python.call("send_task", {
      name: "ping",
      args: ["python"],
      options: { exchange: "C.dq2", routing_key: hostname },
    });
    await until(() => seen.length === 2, { what: "two pings", deadline: 10_000 });
    await python.call("delete_queues", { names: [`${hostname}.dq2`] });
  });

  test("what a quorum queue rejects goes where its dead-letter arguments say", async () => {
    const [orders, failed] = [name("orders"), name("failed")];
    const broker = rabbit();
    const app = appOn(broker, {
      taskQueues: {
        [orders]: {
          expires: 60,
          queueArguments: {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": failed,
          },
        },
        [failed]: { expires: 60 },
      },
      taskRoutes: { place: orders },
    });
    app.task("place", { acksLate: true }, () => {
      throw new Reject("no such article");
    });
    await using _worker = await work(app, { excludeQueues: [failed] });
    // Nobody sends to it or consumes it, and so nobody else makes it.
    await broker.declare(innerOf(app).queue(failed).entities);
    await app.sendTask("place");
    await until(async () => await broker.count(failed) === 1, { what: "the dead letter", deadline: 10_000 });
  });

  test("the most urgent task runs first: 9 before 0", async () => {
    const queue = name("urgent");
    const app = appOn(rabbit(), {
      taskQueues: { [queue]: { maxPriority: 9, expires: 60 } },
      taskDefaultQueue: queue,
    });
    const seen: number[] = [];
    app.task("t", (priority: number) => void seen.push(priority));
    for (const priority of [1, 9, 0, 5]) await app.sendTask("t", { args: [priority], priority });
    await using _worker = await work(app, { concurrency: 1, prefetchMultiplier: 1 });
    await until(() => seen.length === 4, { what: "four runs", deadline: 10_000 });
    expect(seen).toEqual([9, 5, 1, 0]);
  });

  test("passive makes nothing, and uses what is there", async () => {
    const queue = name("theirs");
    const settings: CeleryOptions = { taskQueues: { [queue]: { expires: 60 } }, taskDefaultQueue: queue };
    const app = appOn(rabbit({ topology: "passive" }), settings);
    const seen: string[] = [];
    app.task("t", () => void seen.push("ran"));
    await expect(app.sendTask("t")).rejects.toMatchObject({ code: "exchange-missing" });
    const owner = appOn(rabbit(), settings);
    await owner.sendTask("t");
    await using _worker = await work(app);
    await app.sendTask("t");
    await until(() => seen.length === 2, { what: "two runs", deadline: 10_000 });
  });

  test("a queue that stands with other properties is named by what differs, to senders and to workers", async () => {
    const queue = name("differs");
    const settings = (maxPriority: number): CeleryOptions => ({
      taskQueues: { [queue]: { maxPriority, expires: 60 } },
      taskDefaultQueue: queue,
    });
    await appOn(rabbit(), settings(10)).sendTask("t");
    const app = appOn(rabbit(), settings(5));
    const expected = { name: "TopologyMismatchError", argument: "x-max-priority", have: "10", want: "5" };
    await expect(app.sendTask("t")).rejects.toMatchObject(expected);
    await expect(new Worker(app).run()).rejects.toMatchObject(expected);
  });
});

describe("on Redis", () => {
  test("the most urgent task runs first: 0 before 9, in four steps", async () => {
    const broker = redisBroker(inject("redis"));
    brokers.push(broker);
    const app = appOn(broker, { taskDefaultQueue: name("urgent") });
    const seen: number[] = [];
    app.task("t", (priority: number) => void seen.push(priority));
    for (const priority of [9, 5, 0, 7]) await app.sendTask("t", { args: [priority], priority });
    await using _worker = await work(app, { concurrency: 1, prefetchMultiplier: 1 });
    await until(() => seen.length === 4, { what: "four runs", deadline: 10_000 });
    expect(seen).toEqual([0, 5, 7, 9]);
  });

  test("a broadcast of ours and one of Python's come to a worker of either", async () => {
    const url = inject("redis");
    const broker = redisBroker(url);
    brokers.push(broker);
    const app = appOn(broker, { taskQueues: { everywhere: { broadcast: true }, "python-alone": {} } });
    const ran: unknown[] = [];
    app.task("tasks.add", (x: number, y: number) => void ran.push([x, y]));
    const queue = ["everywhere", "python-alone"];
    await using theirs = await startCeleryWorker({ broker: url, module: "broadcast_tasks", queue });
    await using _ours = await work(app, { queues: ["everywhere"] });
    const { id } = await app.sendTask("tasks.add", { args: [1, 2], queue: "everywhere" });
    await theirs.saw(new RegExp(`Task tasks\\.add\\[${id}\\] succeeded in \\S+s: 3`));
    await until(() => ran.length === 1, { what: "our run", deadline: 10_000 });
    await app.sendTask("broadcast.tell", { args: ["tasks.add", [3, 4]], queue: "python-alone" });
    await theirs.saw(/Task tasks\.add\[.*\] succeeded in \S+s: 7/);
    await until(() => ran.length === 2, { what: "our run of Python's", deadline: 10_000 });
    expect(ran).toEqual([[1, 2], [3, 4]]);
  });
});
