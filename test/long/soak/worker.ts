/**
 * A worker's process in the soak. It writes what becomes of each task into a file of its own: what was written stands there after SIGKILL,
 * too.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { argv, kill, memoryUsage, pid } from "node:process";
import { redisBackend } from "../../../adapters/redis/tcp.ts";
import { Celery } from "../../../mod.ts";
import type { Logger } from "../../../src/lib/logger.ts";
import { type Passing, type Point, withProbe } from "../../../src/worker/probe.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { soakBroker } from "./broker.ts";
import { type Orders, SECOND } from "./orders.ts";

const { backend, broker: url, concurrency, every, kind, log, name, queue } = JSON.parse(
  argv[2] ?? "",
) as Orders;

/** A line for each event: when, what, the task. */
function write(what: string, about: number | string): void {
  writeSync(log, `${Date.now()} ${what} ${about}\n`);
}

write("begun", name);

const TOLD: Readonly<Record<string, string>> = {
  "result-store-failed": "unstored",
  "settlement-stale": "stale",
};

const logger: Logger = {
  log(level, message, fields) {
    const code = String(fields?.["code"]);
    const told = message.endsWith(" received") ? "received" : TOLD[code];
    if (told !== undefined) write(told, String(fields?.["taskId"]));
    else if (message.endsWith(" ready.")) write("ready", name);
    else if (level === "critical") write("critical", message.replace(/\s+/g, "_"));
  },
};

function at(point: Point, { acksLate, delivery, message: { id }, outcome }: Passing): boolean {
  if (point === "accepted") {
    if (!acksLate) write("acked", id);
    delivery.onLost(() => write("lost", id));
  } else if (point === "started") write("run", id);
  else if (point === "ended") write("ran", id);
  else if (point === "stored") write("kept", `${id} ${outcome?.is}`);
  else if (point === "afterSettle" && acksLate) write("acked", id);
  return false;
}

const broker = soakBroker(kind, url);
broker.observe((event) => {
  if (event.is === "up") write("up", event.link);
  else if (event.is === "down") {
    const { code } = event.error as { readonly code?: string };
    write("down", `${event.link} ${code} ${event.error.message.replace(/\s+/g, "_")}`);
  }
});
const app = new Celery("soak", {
  broker,
  backend: redisBackend(backend),
  taskDefaultQueue: queue,
  publishTimeout: "10s",
  logger,
});
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
app.task("soak.early", wait);
app.task("soak.late", { acksLate: true }, wait);
app.task("soak.eta", { acksLate: true }, wait);
app.task("soak.first", { acksLate: true }, wait);
app.task(`soak.${SECOND}`, { acksLate: true }, (_before: unknown, ms: number) => wait(ms));
app.task("soak.failing", { acksLate: true }, async (ms: number) => {
  await wait(ms);
  throw new RangeError("as told");
});

const worker = new Worker(
  app,
  withProbe({ concurrency, hostname: `${name}@%h` }, { at, dismissed: () => {} }),
);

// The collector of Node, where it was asked for: what is left after it is what is held.
const collect = (globalThis as { gc?: () => void }).gc;
if (collect !== undefined) {
  setInterval(() => {
    collect();
    const { heapUsed, rss } = memoryUsage();
    write("heap", `${heapUsed} ${rss}`);
  }, every).unref();
}

// No process outlives the one that started it, however that one ended.
process.stdin.once("close", () => kill(pid, "SIGKILL")).resume().unref();

process.once("SIGTERM", () => {
  void (async () => {
    await worker.stop();
    await app.close();
    write("ended", name);
  })();
});

await worker.run();
