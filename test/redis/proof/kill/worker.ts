/**
 * A process of workers that is going to be killed. It writes what becomes of each task into a file of its own: what was written stands there
 * after SIGKILL, too.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { argv, kill, pid } from "node:process";
import { redisBackend, redisBroker } from "../../../../adapters/redis/tcp.ts";
import { Celery } from "../../../../mod.ts";
import type { Logger } from "../../../../src/lib/logger.ts";
import { type Passing, type Point, withProbe } from "../../../../src/worker/probe.ts";
import { Worker } from "../../../../src/worker/worker.ts";
import type { Orders } from "./orders.ts";

const orders = JSON.parse(argv[2] ?? "") as Orders;
const { backend, broker, concurrency, consumerTimeout, dies, log, queue, visibilityTimeout, workers } =
  orders;

/** A line for each event: when, what, the task's number. */
function write(what: string, task: number | string): void {
  writeSync(log, `${Date.now()} ${what} ${task}\n`);
}

/** Tells of the receipt of a task, before anything is done with it. */
const logger: Logger = {
  log(_level, message, fields) {
    if (!message.endsWith(" received")) return;
    write("received", String(fields?.["taskId"]));
    if (!told) process.stdout.write("received\n");
    told = true;
  },
};
let told = false;

let passings = 0;

function at(point: Point, { delivery, message, acksLate }: Passing): boolean {
  const task = message.id;
  if (point === "accepted") {
    if (!acksLate) write("accepted", task);
    delivery.onLost(() => write("lost", task));
  } else if (point === "started") write("run", task);
  else if (point === "ended") write("ran", task);
  else if (point === "afterSettle" && acksLate) write("settled", task);
  if (dies?.point === point && ++passings === dies.nth) kill(pid, "SIGKILL");
  return false;
}

const running = Array.from({ length: workers }, (_, number) => {
  const app = new Celery("kill", {
    broker: redisBroker(broker, { consumerTimeout, visibilityTimeout, reconnectMax: "200ms" }),
    backend: redisBackend(backend),
    taskDefaultQueue: queue,
    logger,
  });
  const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  // As often as a worker is killed here, innocent tasks would be put aside as poison.
  app.task("kill.late", { acksLate: true, maxDeliveries: null }, wait);
  app.task("kill.early", { acksLate: false }, wait);
  const worker = new Worker(
    app,
    withProbe({ concurrency, hostname: `w${number}@%h` }, { at, dismissed: () => {} }),
  );
  return { app, worker, run: worker.run() };
});

// No process outlives the one that started it, however that one ended.
process.stdin.once("close", () => kill(pid, "SIGKILL")).resume().unref();

process.once("SIGTERM", () => {
  void (async () => {
    await Promise.all(running.map(({ worker }) => worker.stop()));
    await Promise.all(running.map(({ app }) => app.close()));
    write("ended", 0);
  })();
});

await Promise.all(running.map(({ run }) => run));
