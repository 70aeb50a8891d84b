/** Queues on fanout exchanges: what is sent to all comes by pub/sub, as kombu has it. */
import { expect, test } from "vitest";
import { redisBroker } from "../../adapters/redis/tcp.ts";
import { Celery } from "../../mod.ts";
import type { Broker, Delivery, Entity } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { letter, textOf } from "../../src/testing/contract/letter.ts";
import { Reader } from "../../src/testing/contract/reader.ts";
import { Worker } from "../../src/worker/worker.ts";
import { until } from "../support/wait.ts";
import { ownRedis } from "./own-redis.ts";
import { through } from "./setup.ts";

const rig = ownRedis({ proxy: true });

function broker(): Broker {
  const made = redisBroker(through(rig.url, rig.proxy.port), { reconnectMax: "50ms" });
  return rig.kept(made);
}

function entities(queue: string): readonly Entity[] {
  return [
    { kind: "exchange", name: "news", type: "fanout", durable: true, autoDelete: false },
    { kind: "queue", name: queue, durable: true, exclusive: false, autoDelete: true },
    { kind: "binding", queue, exchange: "news", routingKey: "" },
  ];
}

async function listen(queue: string, prefetch: number) {
  const made = broker();
  await made.declare(entities(queue));
  const consumer = made.consume([queue], { prefetch });
  await consumer.add(queue);
  const inbox = new Reader<Delivery>(consumer, 10_000);
  const publish = (text: string, to = { exchange: "news", routingKey: "" }): Promise<unknown> =>
    made.publish([{ message: letter(text), to, mustRoute: false }]);
  return { consumer, inbox, publish };
}

test("each consumer gets each message; the window holds, what is given back comes again here alone, and later", async () => {
  const [one, other] = [await listen("one", 1), await listen("other", 10)];
  for (const text of ["1", "2"]) await one.publish(text);
  const [first, second] = await other.inbox.take(2);
  expect([first, second].map((each) => each === undefined ? "" : textOf(each.message))).toEqual(["1", "2"]);
  const got = await one.inbox.next();
  expect([textOf(got.message), got.queue, got.route.exchange, got.redelivered]).toEqual([
    "1",
    "one",
    "news",
    false,
  ]);
  await one.inbox.quiet("the second waits for room");
  expect(await got.settle({ as: "requeue", notBefore: Date.now() + 100 })).toBe("settled");
  expect(() => got.settle({ as: "ack" })).toThrow(expect.objectContaining({ code: "delivery-settled" }));
  const next = await one.inbox.next();
  expect(textOf(next.message)).toBe("2");
  expect(() => next.settle({ as: "park", until: Date.now() + 365 * 86_400_000 })).toThrow(
    expect.objectContaining({ code: "park-too-long" }),
  );
  await next.settle({ as: "ack" });
  const again = await one.inbox.next();
  expect([textOf(again.message), again.redelivered]).toEqual(["1", true]);
  await again.settle({ as: "reject" });
  await other.inbox.quiet("it came again to one alone");
  // What is sent to the queue by its name lies in its list.
  await one.publish("own", { exchange: "", routingKey: "one" });
  const own = await one.inbox.next();
  expect(textOf(own.message)).toBe("own");
  await own.settle({ as: "ack" });
  await one.publish("left", { exchange: "", routingKey: "one" });
  await one.inbox.next();
  await one.consumer.stop();
  await other.consumer.stop();
  expect((await rig.redis.keys("*")).filter((key) => /^(one|other|_kombu)/.test(key))).toEqual([]);
});

test("a lost connection is no end: what is sent once it listens again comes, and health says when it does not", async () => {
  const { consumer, inbox, publish } = await listen("one", 10);
  await publish("before");
  await (await inbox.next()).settle({ as: "ack" });
  rig.proxy.cut();
  await until(async () => Number(await rig.redis.pubsub("NUMPAT")) === 1, {
    what: "it listens again",
    deadline: 10_000,
  });
  await until(() => consumer.aliveAt > Date.now() - 2000, { what: "it is alive", deadline: 10_000 });
  await publish("after");
  expect(textOf((await inbox.next()).message)).toBe("after");
  await consumer.stop();
});

test("workers: each runs a broadcast once, a retry comes to the one that asked for it, nothing is left behind", async () => {
  const ran: string[] = [];
  const apps = ["a@h", "b@h"].map((hostname) => {
    const app = new Celery("all", {
      broker: broker(),
      taskQueues: { celery: {}, reload: { broadcast: true } },
      taskRoutes: { "t.*": "reload" },
      logger: { log: () => {} },
    });
    app.task("t.reload", { bind: true, acksLate: true }, (task) => {
      ran.push(`${task.hostname} ${task.retries}`);
      if (task.hostname === "a@h" && task.retries === 0) task.retry({ countdown: 0 });
    });
    app.task("t.later", { bind: true }, (task) => void ran.push(`${task.hostname} later`));
    let ready = false;
    app.on("workerReady", () => void (ready = true));
    const worker = new Worker(app, { hostname });
    const running = worker.run();
    return { app, worker, running, isReady: () => ready };
  });
  await until(() => apps.every(({ isReady }) => isReady()), { what: "two workers", deadline: 10_000 });
  await apps[0]?.app.sendTask("t.reload");
  await until(() => ran.length === 3, { what: "three runs", deadline: 10_000 });
  expect(ran.toSorted()).toEqual(["a@h 0", "a@h 1", "b@h 0"]);
  ran.length = 0;
  await apps[1]?.app.sendTask("t.later", { countdown: 0.2 });
  await until(() => ran.length === 2, { what: "two more", deadline: 10_000 });
  expect(ran.toSorted()).toEqual(["a@h later", "b@h later"]);
  for (const { worker, running } of apps) {
    await worker.stop();
    await running;
  }
  expect(await rig.redis.keys("*bcast*")).toEqual([]);
  expect(await rig.redis.smembers("_kombu.binding.reload")).toEqual([]);
});

test.each(["warm", "cold"] as const)(
  "a %s stop amid broadcasts that retry leaves no key of them, and tells what is dropped",
  async (how) => {
    const lines: string[] = [];
    const app = new Celery("all", {
      broker: broker(),
      taskQueues: { celery: {}, reload: { broadcast: true } },
      taskRoutes: { "t.*": "reload" },
      logger: { log: (_level, message, { code } = {}) => void lines.push(`${String(code)} ${message}`) },
    });
    const go = deferred<void>();
    let blocked = 0;
    // What came by pub/sub, and what came from the list.
    for (const retries of [0, 1]) {
      for (const acksLate of [false, true]) {
        const name = `t.${acksLate ? "late" : "early"}${retries}`;
        app.task(name, { bind: true, acksLate, maxRetries: null }, async (task) => {
          if (task.retries === retries) {
            blocked++;
            const { signal } = task;
            const cut = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
            await Promise.race([go.promise, cut]);
          }
          task.retry({ countdown: 0 });
        });
      }
    }
    let ready = false;
    app.on("workerReady", () => void (ready = true));
    const worker = new Worker(app, { hostname: "a@h", concurrency: 10 });
    const running = worker.run();
    await until(() => ready, { what: "a worker", deadline: 10_000 });
    for (const name of ["t.early0", "t.late0", "t.early1", "t.late1"]) await app.sendTask(name);
    await until(() => blocked === 4, { what: "four runs", seen: () => lines.join("\n"), deadline: 10_000 });
    const stopping = worker.stop({ how });
    await until(async () => Number(await rig.redis.pubsub("NUMPAT")) === 0, {
      what: "the end of consuming",
      deadline: 10_000,
    });
    go.resolve();
    await stopping;
    await running;
    const mine = (await rig.redis.keys("*")).filter((key) => /bcast|unacked|parked/.test(key));
    expect([mine, lines.filter((line) => line.includes("broadcast-dropped")).length]).toEqual([[], 2]);
    const told = ["early0", "early1", ...(how === "warm" ? ["late0", "late1"] : [])];
    expect(told.filter((name) => !lines.some((line) => line.startsWith(`retry-unsent Task t.${name}[`))))
      .toEqual([]);
  },
  30_000,
);
