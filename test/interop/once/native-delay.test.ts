/**
 * kombu's native delayed delivery on RabbitMQ: what Python's clients of 5.5 and later publish to it comes to our workers.
 *
 * @module
 */
import { afterAll, afterEach, beforeAll, expect, inject, test } from "vitest";
import { amqpBroker } from "../../../adapters/amqp/tcp.ts";
import { memoryBackend } from "../../../adapters/memory/mod.ts";
import { type Broker, Celery, type CeleryOptions, type DelayWay, type Running } from "../../../mod.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { consuming, Rig } from "../../amqp/rig.ts";
import { type Python, startPython } from "../../support/python.ts";
import { until } from "../../support/wait.ts";

let python: Python;
const brokers: Broker[] = [];
const queues: string[] = [];

beforeAll(async () => {
  python = await startPython("native_delay.py", [inject("amqp")]);
});

afterEach(async () => {
  await Promise.all(brokers.splice(0).map((broker) => broker.close()));
  await python.call("delete", { names: queues.splice(0) });
});

afterAll(async () => {
  await python?.call("dismantle");
  await python?.stop();
});

const EXCHANGE_BIND = "40.30";

/** How a task began. */
interface Run {
  readonly id: string;
  readonly queue: string;
  readonly at: number;
  readonly retries: number;
  readonly route: readonly [exchange: string, routingKey: string];
}

/** Queues `b.<name>` and `a.b.<name>` on one topic exchange. */
function ours(options: CeleryOptions = {}): {
  readonly app: Celery;
  readonly broker: Broker;
  readonly b: string;
  readonly ab: string;
  readonly runs: Run[];
  readonly codes: unknown[];
  readonly taskQueues: NonNullable<CeleryOptions["taskQueues"]>;
  work(): Promise<AsyncDisposable>;
} {
  const b = `b.${crypto.randomUUID()}`;
  const ab = `a.${b}`;
  queues.push(b, ab, `${b}.dead`);
  const broker = amqpBroker(inject("amqp"));
  brokers.push(broker);
  const codes: unknown[] = [];
  const runs: Run[] = [];
  const spec = (routingKey: string): object => ({
    exchange: `x.${b}`,
    exchangeType: "topic",
    routingKey,
    exchangeAutoDelete: true,
    queueArguments: { "x-queue-type": "quorum" },
  });
  const taskQueues = { [b]: spec(b), [ab]: spec(ab) };
  const app = new Celery("delayed", {
    broker,
    backend: memoryBackend(),
    logger: { log: (_level, _line, fields) => void codes.push(fields?.["code"]) },
    taskQueues,
    ...options,
  });
  app.task("t", { bind: true, params: ["retry?"] }, (task: Running, retry: boolean = false) => {
    const { delivery: { queue, exchange, routingKey }, id, retries } = task;
    runs.push({ id, queue, retries, at: Date.now(), route: [exchange, routingKey] });
    if (retry && retries < 2) throw task.retry({ countdown: "300ms" });
  });
  return {
    ...{ app, broker, b, ab, codes, runs, taskQueues },
    async work() {
      const worker = new Worker(app, { hostname: "w@h" });
      let ready = false;
      app.on("workerReady", () => void (ready = true));
      const running = worker.run();
      await until(() => ready, { what: "the worker", deadline: 20_000 });
      return {
        async [Symbol.asyncDispose]() {
          await worker.stop();
          await running;
        },
      };
    },
  };
}

function send(to: string, wait: object, args: readonly unknown[] = []): Promise<string> {
  return python.call<string>("send", { name: "t", args, routing_key: to, ...wait });
}

test("what Python's worker declared is declared alike, and what Python delays runs once, in its queue, never early", async () => {
  await python.call("declare");
  const { b, ab, runs, codes, work } = ours();
  await using _ = await work();
  // And the other way round.
  await python.call("declare");
  expect(codes.filter((code) => code !== undefined)).toEqual([]);
  const due = Date.now() + 2000;
  const eta = new Date(due).toISOString().replace("Z", "+00:00");
  const [first, second] = [await send(b, { countdown: 2 }), await send(ab, { eta })];
  await until(() => runs.length === 2, { what: "two runs", deadline: 10_000 });
  const [of, other] = [first, second].map((id) => runs.filter((run) => run.id === id));
  expect(of).toMatchObject([{ queue: b, retries: 0 }]);
  expect(other).toMatchObject([{ queue: ab, retries: 0 }]);
  expect(runs.filter(({ at }) => at < due)).toEqual([]);
  // The level that let it out last dead-letters to the next exchange: the key is what tells.
  expect(of?.[0]?.route[0]).toMatch(/^celery_delayed_/);
  expect(of?.[0]?.route[1]).toBe(`${"0.".repeat(26)}1.0.${b}`);
});

test("what came that way is parked again where it is not due, and retried to its own queue alone", async () => {
  const { b, ab, broker, runs, work } = ours({ workerParkAfter: 0 });
  await using _ = await work();
  const due = Date.now() + 1950;
  const eta = new Date(due).toISOString().replace("Z", "+00:00");
  const id = await send(b, { eta }, [true]);
  await until(() => runs.length === 3, { what: "three runs", deadline: 15_000 });
  expect(runs.map((run) => [run.id, run.queue, run.retries])).toEqual([[id, b, 0], [id, b, 1], [id, b, 2]]);
  expect(runs.filter(({ at }) => at < due)).toEqual([]);
  expect([await broker.count(b), await broker.count(ab)]).toEqual([0, 0]);
});

test("what ours delays waits where Python's would, and comes out without any worker having been there", async () => {
  const { app, b, ab, broker, runs, work } = ours();
  const due = Date.now() + 2000;
  const { id } = await app.sendTask("t", { queue: b, countdown: 2 });
  // A Python worker may have bound `b` by whatever ends in it.
  await app.sendTask("t", { queue: ab, countdown: 2 });
  await until(async () => await broker.count("celery_delayed_1") > 0, { what: "the waiting one" });
  expect([await broker.count(b), await broker.count(ab)]).toEqual([0, 1]);
  await until(async () => await broker.count(b) === 1, { what: "the message", deadline: 10_000 });
  await using _ = await work();
  await until(() => runs.length === 2, { what: "two runs", deadline: 10_000 });
  expect(runs.find((run) => run.id === id)).toMatchObject({ queue: b });
  expect(runs.filter(({ at }) => at < due)).toEqual([]);
});

test("what is declared stands for a connection, and is declared again on the next one", async () => {
  await using rig = await Rig.start();
  const broker = rig.broker();
  const entity = rig.entity();
  const exchange = `x.${entity.name}`;
  const ways = [{ queue: entity.name, exchange, routingKey: "k" }];
  await broker.declare([
    { kind: "exchange", name: exchange, type: "topic", durable: false, autoDelete: true },
    entity,
  ]);
  const frames = rig.record();
  const binds = (): number => frames.filter(({ method }) => method === EXCHANGE_BIND).length;
  await Promise.all(Array.from({ length: 5 }, async () => await broker.declareDelays?.(ways, "quorum")));
  expect(await broker.declareDelays?.(ways, "quorum")).toBe(true);
  expect(binds()).toBe(29);
  const consumer = broker.consume([entity.name], { prefetch: 1 });
  await consuming(consumer);
  rig.proxy.cut();
  await until(() => binds() === 58, { what: "the declaration of the next connection" });
  await expect(broker.declareDelays?.([{ ...ways[0], queue: "no.such" } as DelayWay], "quorum")).rejects
    .toMatchObject({ code: "queue-missing" });
  await consumer.stop();
});

test("a broker that is to declare nothing goes straight to the queue", async () => {
  const { app, b, broker, taskQueues } = ours();
  await app.sendTask("t", { queue: b });
  const passive = amqpBroker(inject("amqp"), { topology: "passive" });
  brokers.push(passive);
  const other = ours({ broker: passive, taskQueues });
  await other.app.sendTask("t", { queue: b, countdown: 60 });
  expect(await broker.count(b)).toBe(2);
});

test("a poisonous one is put beside its own queue", async () => {
  const { b, broker, runs, work } = ours({ taskAcksLate: true, taskMaxDeliveries: 1 });
  await (await work())[Symbol.asyncDispose]();
  const id = await send(b, { countdown: 1 });
  const consumer = broker.consume([b], { prefetch: 1 });
  for await (const delivery of consumer) {
    await delivery.settle({ as: "requeue" });
    break;
  }
  await consumer.stop();
  await using _ = await work();
  await until(async () => await broker.count(`${b}.dead`) === 1, { what: "the dead one", deadline: 10_000 });
  expect(runs).toEqual([]);
  const { value } = await broker.consume([`${b}.dead`], { prefetch: 1 })[Symbol.asyncIterator]().next();
  await value?.settle({ as: "ack" });
  expect(value?.message.headers).toMatchObject({ id, "celeriac-dead-queue": b });
});

test("a worker that may not declare it so is told, and goes on", async () => {
  await python.call("declare");
  const { app, b, runs, codes, work } = ours({ brokerNativeDelayedDeliveryQueueType: "classic" });
  await using _ = await work();
  expect(codes).toContain("delay-undeclared");
  await app.sendTask("t", { queue: b });
  await until(() => runs.length === 1, { what: "a run", deadline: 10_000 });
});
