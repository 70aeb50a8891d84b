/**
 * A worker on RabbitMQ whose link is cut at the worst moments, through the tests' own proxy.
 */
import { randomUUID } from "node:crypto";
import { AMQPClient } from "@cloudamqp/amqp-client";
import { describe, expect, inject, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { memoryBackend } from "../../adapters/memory/mod.ts";
import { Celery } from "../../src/app/app.ts";
import type { CeleryOptions } from "../../src/app/options.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { Worker, type WorkerOptions } from "../../src/worker/worker.ts";
import { type Direction, type Proxy, startProxy } from "../support/proxy.ts";
import { until } from "../support/wait.ts";

interface Rig extends AsyncDisposable {
  readonly proxy: Proxy;
  readonly app: Celery;
  /** Sends past the proxy. */
  readonly sender: Celery;
  readonly queue: string;
  readonly lines: string[];
  work(options?: WorkerOptions): { readonly worker: Worker; readonly done: Promise<void> };
}

async function rig(settings: CeleryOptions = {}): Promise<Rig> {
  const url = new URL(inject("amqp"));
  const proxy = await startProxy({ host: url.hostname, port: Number(url.port || 5672) });
  const queue = `faults-${randomUUID()}`;
  const lines: string[] = [];
  const through = new URL(url.href);
  through.host = `127.0.0.1:${proxy.port}`;
  const backend = memoryBackend();
  const quick = { reconnect: { min: "10ms", max: "50ms" } } as const;
  const app = new Celery("faulty", {
    broker: amqpBroker(through.href, quick),
    backend,
    taskDefaultQueue: queue,
    ...settings,
    logger: { log: (level, message) => void lines.push(`${level} ${message}`) },
  });
  const sender = new Celery("sender", { broker: amqpBroker(url.href), taskDefaultQueue: queue });
  const workers: Worker[] = [];
  const ends: Promise<unknown>[] = [];
  return {
    proxy,
    app,
    sender,
    queue,
    lines,
    work(options = {}) {
      const worker = new Worker(app, options);
      const done = worker.run();
      workers.push(worker);
      ends.push(done.catch(() => {}));
      return { worker, done };
    },
    async [Symbol.asyncDispose]() {
      for (const worker of workers) await worker.stop();
      await Promise.all(ends);
      await app.close();
      await sender.close();
      await proxy[Symbol.asyncDispose]();
      const client = await new AMQPClient(url.href).connect();
      const channel = await client.channel();
      await channel.queueDelete(queue);
      await channel.exchangeDelete(queue);
      await client.close();
    },
  };
}

function said(lines: readonly string[], pattern: RegExp): Promise<string> {
  return until(() => lines.find((line) => pattern.test(line)), {
    what: `${pattern} among\n${lines.join("\n")}`,
  });
}

/** Whether a chunk begins with basic.ack: frame type 1, class 60, method 80. */
function isAck(direction: Direction, bytes: Uint8Array): boolean {
  return direction === "up" && bytes.length >= 11 && bytes[0] === 1 && bytes[8] === 60 && bytes[10] === 80;
}

describe("the link is cut while a task runs", () => {
  test("acked early: it goes on, runs once, and its result is stored", async () => {
    await using bench = await rig();
    const gate = deferred<void>();
    let runs = 0;
    let acks = 0;
    bench.proxy.onChunk = (direction, bytes) => void (acks += isAck(direction, bytes) ? 1 : 0);
    bench.app.task("t.slow", async () => {
      runs++;
      await gate.promise;
      return "done";
    });
    const { id } = await bench.sender.sendTask("t.slow");
    bench.work();
    // What passed the proxy reaches the broker before the cut does.
    await until(() => runs === 1 && acks === 1, { what: "it runs and is acked" });
    bench.proxy.cut();
    await said(bench.lines, /^warning consumer: Connection to broker lost\. Trying to re-establish/);
    await until(() => bench.lines.filter((line) => line.startsWith("info Connected to")).length === 2, {
      what: "it is back",
    });
    gate.resolve();
    await said(bench.lines, /succeeded in .*: 'done'/);
    expect(await bench.app.result(id).get({ timeout: 5 })).toBe("done");
    const { id: next } = await bench.sender.sendTask("t.slow");
    expect(await bench.app.result(next).get({ timeout: 5 })).toBe("done");
    expect(runs).toBe(2);
  });

  test("acked late, where the app wants it cancelled: it is asked to end, its outcome is dropped, the next run counts", async () => {
    await using bench = await rig({ workerCancelLongRunningTasksOnConnectionLoss: true });
    const reasons: unknown[] = [];
    bench.app.task("t.slow", { bind: true, acksLate: true }, async (task) => {
      if (task.delivery.redelivered) return "done";
      bench.proxy.cut();
      await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
      reasons.push(task.signal.reason);
      throw new Error("cut short");
    });
    const { id } = await bench.sender.sendTask("t.slow");
    bench.work({ concurrency: 1 });
    expect(await bench.app.result(id).get({ timeout: 20 })).toBe("done");
    expect(reasons).toMatchObject([{ name: "ConnectionError", code: "task-cancelled" }]);
    await said(
      bench.lines,
      new RegExp(`^warning Task t\\.slow\\[${id}\\] cannot be acknowledged after a connection`),
    );
    expect(bench.lines.filter((line) => /cut short|Couldn't|Traceback/.test(line))).toEqual([]);
  });

  test("acked late: it goes on, its ack is told to be too late, and the broker gives it out again", async () => {
    await using bench = await rig();
    const gate = deferred<void>();
    const redelivered: boolean[] = [];
    bench.app.task("t.slow", { bind: true, acksLate: true }, async (task) => {
      redelivered.push(task.delivery.redelivered);
      await gate.promise;
      return "done";
    });
    const { id } = await bench.sender.sendTask("t.slow");
    bench.work();
    await until(() => redelivered.length === 1, { what: "it runs" });
    bench.proxy.rst();
    await until(() => redelivered.length === 2, { what: "it runs again" });
    gate.resolve();
    await said(bench.lines, /^warning Couldn't ack t\.slow\[.*\], reason: its link is lost/);
    expect(await bench.app.result(id).get({ timeout: 5 })).toBe("done");
    await until(() => bench.lines.filter((line) => /succeeded/.test(line)).length === 2, {
      what: "both ended",
    });
    expect(redelivered).toEqual([false, true]);
    expect(bench.lines.filter((line) => line.includes("Couldn't ack")).length).toBe(1);
  });
});

test("what waits for a slot or its ETA while the link is cut runs once, after it came again", async () => {
  await using bench = await rig();
  const gate = deferred<void>();
  const ran: number[] = [];
  bench.app.task("t.count", (i: number) => void ran.push(i));
  bench.app.task("t.gate", () => gate.promise);
  await bench.sender.sendTask("t.gate");
  for (let i = 0; i < 5; i++) await bench.sender.sendTask("t.count", { args: [i] });
  await bench.sender.sendTask("t.count", { args: [5], countdown: "2s" });
  const { worker } = bench.work({ concurrency: 1, prefetchMultiplier: 20 });
  const waiting = (): number => worker.snapshot().reserved.filter((task) => task.name === "t.count").length;
  const received = (): number => bench.lines.filter((line) => /t\.count\[.*received/.test(line)).length;
  await until(() => waiting() === 6, { what: "six wait" });
  bench.proxy.cut();
  await until(() => received() === 12, { what: "they came again" });
  expect(waiting()).toBe(6);
  gate.resolve();
  await until(() => ran.length === 6, { what: "all six ran" });
  expect([...ran].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
  await until(() => worker.snapshot().totals.get("t.count") === 6, { what: "all six ended" });
  expect(bench.lines.filter((line) => /Couldn't/.test(line))).toEqual([]);
});

test("acks that wait for the wire while the link is cut lose no task", async () => {
  await using bench = await rig();
  const seen = new Map<number, number>();
  bench.app.task("t.count", { acksLate: true }, (i: number) => void seen.set(i, (seen.get(i) ?? 0) + 1));
  for (let i = 0; i < 300; i++) await bench.sender.sendTask("t.count", { args: [i] });
  // Every few acks the link goes, with those that follow still on their way.
  let cuts = 0;
  let acks = 0;
  bench.proxy.onChunk = (direction, bytes) => {
    if (isAck(direction, bytes) && cuts < 5 && ++acks % 2 === 0) {
      cuts++;
      bench.proxy.cut();
    }
  };
  bench.work({ concurrency: 10 });
  await until(() => seen.size === 300, { what: "all of them", deadline: 15_000 });
  const again = [...seen.values()].reduce((sum, each) => sum + each - 1, 0);
  expect(cuts).toBeGreaterThan(0);
  // Each cut loses the acks of one window at most.
  expect(again).toBeLessThanOrEqual(cuts * 40);
  console.log(`300 tasks, ${cuts} cuts, ${again} runs again`);
});

test("the link is cut again while it reconnects, and the worker still comes back", async () => {
  await using bench = await rig();
  bench.app.task("t.add", (x: number, y: number) => x + y);
  bench.work();
  await said(bench.lines, /ready\.$/);
  let left = 6;
  // The answer to the first frame of a handshake never arrives.
  bench.proxy.onChunk = (direction) => {
    if (direction === "down" && left > 0) {
      left--;
      bench.proxy.cut();
    }
  };
  bench.proxy.cut();
  await said(
    bench.lines,
    /^error consumer: Cannot connect to amqp:\/\/.*\nTrying again in \d+\.\d\d seconds\.\.\. \(\d+\/100\)/,
  );
  await until(() => left === 0, { what: "all the cuts" });
  const { id } = await bench.sender.sendTask("t.add", { args: [2, 3] });
  expect(await bench.app.result(id).get({ timeout: 10 })).toBe(5);
});

test("a worker that is stopped while the broker is away ends, and holds nothing", async () => {
  await using bench = await rig();
  const gate = deferred<void>();
  bench.app.task("t.slow", { acksLate: true }, () => gate.promise);
  await bench.sender.sendTask("t.slow");
  await bench.sender.sendTask("t.slow");
  const { worker, done } = bench.work({ concurrency: 1 });
  await until(() => worker.snapshot().reserved.length === 1, { what: "one runs, one waits" });
  await bench.proxy.refuse(true);
  bench.proxy.cut();
  await said(bench.lines, /Cannot connect/);
  const stopped = worker.stop();
  gate.resolve();
  await stopped;
  await done;
  expect(worker.snapshot()).toMatchObject({ active: [], reserved: [], concluding: [] });
  await bench.proxy.refuse(false);
});

test("a stop at any moment of start-up ends the run without an error", async () => {
  const ends: string[] = [];
  for (let chunk = 1, ready = false; !ready; chunk++) {
    await using bench = await rig();
    let seen = 0;
    let worker: Worker | undefined;
    bench.proxy.onChunk = () => {
      if (++seen === chunk) void worker?.stop();
    };
    const started = bench.work();
    worker = started.worker;
    await until(() => {
      ready = bench.lines.some((line) => line.endsWith("ready."));
      return seen >= chunk || ready;
    }, { what: `${chunk} chunks` });
    if (seen < chunk) await worker.stop();
    await expect(started.done, `at chunk ${chunk}`).resolves.toBeUndefined();
    ends.push(`${chunk}${ready ? " ready" : ""}`);
  }
  console.log(`stopped at chunks: ${ends.join(", ")}`);
  expect(ends.length).toBeGreaterThan(8);
});
