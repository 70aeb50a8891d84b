/** Retries across the two languages, over a real RabbitMQ, with results in a real Redis. */
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { amqpBroker } from "../../../adapters/amqp/tcp.ts";
import { redisBackend } from "../../../adapters/redis/tcp.ts";
import { Celery, type Running } from "../../../mod.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { startCeleryWorker } from "../../support/celery-worker.ts";
import { type Python, startCeleryClient } from "../../support/python.ts";
import { until } from "../../support/wait.ts";

const QUEUE = `retries-${process.pid}`;
const env = { broker: inject("amqp"), backend: inject("redis") };

let python: Python;

beforeAll(async () => {
  python = await startCeleryClient(env);
});

afterAll(async () => {
  await python?.call("delete_queues", { names: [QUEUE] });
  await python?.stop();
});

/** An app with the task that Python's fixture has too, and its lines. */
function ours(countdown: number): { app: Celery; lines: string[] } {
  const lines: string[] = [];
  const app = new Celery("retries", {
    broker: amqpBroker(env.broker),
    backend: redisBackend(env.backend),
    logger: { log: (_level, line) => void lines.push(line) },
  });
  app.task(
    "tasks.retry",
    { bind: true, acksLate: true, params: ["until?"] },
    (task: Running, last: number = 2) => {
      if (task.retries >= last) return task.retries;
      const error = new Error(`try ${task.retries}`);
      error.name = "ValueError";
      throw task.retry({ countdown, error });
    },
  );
  app.task("tasks.used.up", { bind: true }, (task: Running) => task.retry({ countdown: 0 }));
  return { app, lines };
}

function send(name: string, args: readonly unknown[], options: object = {}): Promise<string> {
  return python.call<string>("send_task", { name, args, options: { queue: QUEUE, ...options } });
}

describe("retries", () => {
  test("what ours retried Python reads as RETRY, and Python's worker finishes", async () => {
    const { app, lines } = ours(6);
    await using _ = app;
    const worker = new Worker(app, { queues: [QUEUE], concurrency: 1 });
    const run = worker.run();
    // Python's first look connects, which takes its time.
    await python.call("state", { id: "warm" });
    const id = await send("tasks.retry", [1], { priority: 3, headers: { mine: "kept" } });
    await until(
      () => lines.some((line) => line === `Task tasks.retry[${id}] retry: Retry in 6s: ValueError('try 0')`),
      {
        what: "the retry",
      },
    );
    expect(await python.call("meta", { id })).toMatchObject({
      status: "RETRY",
      result: "ValueError('try 0')",
      traceback: expect.stringContaining("Retry in 6s"),
      task_id: id,
    });
    await worker.stop();
    await run;
    await using theirs = await startCeleryWorker({ ...env, queue: QUEUE });
    expect(await python.call("get", { id, timeout: 20 })).toMatchObject({ value: 1 });
    await theirs.saw(new RegExp(`Task tasks\\.retry\\[${id}\\] succeeded in [0-9.]+s: 1`));
  });

  test("a queue that both work on: each finishes what the other retried, and Python meets the end of retries", async () => {
    const { app, lines } = ours(0);
    await using _ = app;
    await using theirs = await startCeleryWorker({ ...env, queue: QUEUE });
    const worker = new Worker(app, { queues: [QUEUE], concurrency: 1, prefetchMultiplier: 1 });
    const run = worker.run();
    await until(() => lines.some((line) => line.endsWith("ready.")), { what: "our worker" });
    const ids: string[] = [];
    const did = (log: string, id: string, what: string): boolean =>
      log.includes(`Task tasks.retry[${id}] ${what}`);
    const both = (): boolean => {
      const [here, there] = [lines.join("\n"), theirs.log];
      return ids.some((id) => did(here, id, "retry:") && did(there, id, "succeeded")) &&
        ids.some((id) => did(there, id, "retry:") && did(here, id, "succeeded"));
    };
    // Who takes which is theirs to say.
    for (let rounds = 0; rounds === 0 || (rounds < 20 && !both()); rounds++) {
      const more = await python.call<string[]>("send_many", {
        name: "tasks.retry",
        each: Array.from({ length: 40 }, () => [3]),
        options: { queue: QUEUE },
      });
      expect(await python.call("get_many", { ids: more })).toEqual(more.map(() => 3));
      ids.push(...more);
    }
    expect(both()).toBe(true);
    await theirs.stop();

    // The count goes on from what the sender says.
    const used = await send("tasks.used.up", [], { retries: 3 });
    await expect(python.call("get", { id: used, timeout: 20 })).rejects.toMatchObject({
      type: "MaxRetriesExceededError",
      module: "celery.exceptions",
    });
    expect(lines.filter((line) => line.startsWith(`Task tasks.used.up[${used}] retry`))).toEqual([]);
    await worker.stop();
    await run;
  });
});
