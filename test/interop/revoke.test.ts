/** Python meets what our workers revoke, and ours what Python sends with an ETA. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { Celery } from "../../src/app/app.ts";
import { Worker } from "../../src/worker/worker.ts";
import { type Python, startCeleryClient } from "../support/python.ts";
import { until } from "../support/wait.ts";

const urls = { broker: inject("amqp"), backend: inject("redis") };

let python: Python;

beforeAll(async () => {
  python = await startCeleryClient(urls);
});

afterAll(async () => {
  await python.stop();
});

test("Python's AsyncResult sees REVOKED, by whichever way a task of Python's was revoked, and raises TaskRevokedError", async () => {
  const queue = `revoke-${randomUUID()}`;
  const lines: string[] = [];
  const app = new Celery("revoking", {
    broker: amqpBroker(urls.broker),
    backend: redisBackend(urls.backend),
    taskDefaultQueue: queue,
    // So that the worker itself holds what has a countdown.
    workerParkAfter: "1h",
    logger: { log: (_level, message) => void lines.push(message) },
  });
  const ran: string[] = [];
  app.task("t.revoked", { bind: true, acksLate: true }, async (task) => {
    ran.push(task.id);
    await new Promise((_, reject) => task.signal.addEventListener("abort", () => reject(task.signal.reason)));
  });
  const ids = { runs: randomUUID(), held: randomUUID(), elsewhere: randomUUID(), comes: randomUUID() };
  const send = (id: string, options: object) =>
    python.call("send_task", { name: "t.revoked", options: { task_id: id, queue, ...options } });
  const worker = new Worker(app);
  const done = worker.run();
  await until(() => lines.some((line) => line.endsWith(" ready.")), { what: "the worker" });
  await send(ids.runs, {});
  await send(ids.held, { countdown: 600 });
  await send(ids.elsewhere, { countdown: 2 });
  await until(() => worker.snapshot().active.length === 1, { what: "one runs" });
  await app.result(ids.elsewhere).revoke();
  await worker.revoke([ids.runs, ids.held, ids.comes], { terminate: true });
  await send(ids.comes, {});
  for (const [what, id] of Object.entries(ids)) {
    expect(await python.call("state", { id }), what).toMatchObject({ state: "REVOKED" });
    await expect(python.call("get", { id }), what).rejects.toMatchObject({ type: "TaskRevokedError" });
  }
  await until(() => lines.filter((line) => line.startsWith("Discarding revoked task")).length === 2 + 1, {
    what: "three discarded",
    seen: () => lines.join("\n"),
  });
  expect(ran).toEqual([ids.runs]);
  await worker.stop();
  await done;
  await app.close();
});
