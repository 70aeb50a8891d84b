/** Time limits across the two languages, over a real RabbitMQ, with results in a real Redis. */
import { expect, inject, test } from "vitest";
import { amqpBroker } from "../../../adapters/amqp/tcp.ts";
import { redisBackend } from "../../../adapters/redis/tcp.ts";
import { Celery, type Running } from "../../../mod.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { startCeleryWorker } from "../../support/celery-worker.ts";
import { startCeleryClient } from "../../support/python.ts";

const QUEUE = `limits-${process.pid}`;
const env = { broker: inject("amqp"), backend: inject("redis") };

test("Python's limits are obeyed, ours by its workers, and either side meets the exception that it knows", async () => {
  const lines: string[] = [];
  await using app = new Celery("limits", {
    broker: amqpBroker(env.broker),
    backend: redisBackend(env.backend),
    logger: { log: (_level, line) => void lines.push(line) },
  });
  const heeds = async (task: Running): Promise<void> => {
    await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
    throw task.signal.reason;
  };
  app.task("tasks.heeds", { bind: true }, heeds);
  app.task("tasks.stuck", () => new Promise(() => {}));
  const python = await startCeleryClient(env);
  try {
    const worker = new Worker(app, { queues: [QUEUE] });
    const run = worker.run();
    const send = (name: string, options: object): Promise<string> =>
      python.call<string>("send_task", { name, options: { queue: QUEUE, ...options } });
    const [soft, hard] = await Promise.all([
      send("tasks.heeds", { soft_time_limit: 0.5, time_limit: 20 }),
      send("tasks.stuck", { time_limit: 1 }),
    ]);
    await expect(python.call("get", { id: soft, timeout: 20 })).rejects.toMatchObject({
      type: "SoftTimeLimitExceeded",
      module: "billiard.exceptions",
      args: [],
    });
    await expect(python.call("get", { id: hard, timeout: 20 })).rejects.toMatchObject({
      type: "TimeLimitExceeded",
      module: "billiard.exceptions",
      args: [1],
    });
    expect(await python.call("state", { id: hard })).toMatchObject({ state: "FAILURE", traceback: null });
    expect(lines.filter((line) => line.includes("time limit")).map((line) => line.replace(/\[.*/, "")))
      .toEqual([
        "Soft time limit (0.5s) exceeded for tasks.heeds",
        "Hard time limit (1s) exceeded for tasks.stuck",
      ]);
    await worker.stop();
    await run;

    // A declaration's own limit travels with the message.
    const sleep = app.task("tasks.sleep", { softTimeLimit: 1 }, (seconds: number) => seconds);
    await using theirs = await startCeleryWorker({ ...env, queue: QUEUE, pool: "prefork" });
    const slept = await sleep.applyAsync([30], { queue: QUEUE });
    await expect(slept.get({ timeout: 20 })).rejects.toMatchObject({
      excType: "SoftTimeLimitExceeded",
      excMessage: [],
      excModule: "billiard.exceptions",
    });
    await theirs.saw(/Soft time limit \(1s\) exceeded for tasks\.sleep/);
  } finally {
    await python.call("delete_queues", { names: [QUEUE] });
    await python.stop();
  }
});
