/**
 * A worker's process with a task that kills it. What it writes into descriptor 3 stands there after SIGKILL, too.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { argv, kill, pid } from "node:process";
import { redisBackend, redisBroker } from "../../adapters/redis/tcp.ts";
import { Celery, type Running } from "../../mod.ts";
import { Worker } from "../../src/worker/worker.ts";

const [, , url = "", queue = ""] = argv;
const app = new Celery("poison", {
  // A worker that died is noticed soon.
  broker: redisBroker(url, { consumerTimeout: "1s", visibilityTimeout: "2s", reconnectMax: "200ms" }),
  backend: redisBackend(url),
  taskDefaultQueue: queue,
  taskAcksLate: true,
});

app.task("t.kill", { bind: true }, (task: Running) => {
  writeSync(3, `run ${task.id}\n`);
  kill(pid, "SIGKILL");
});
app.task("t.wait", { bind: true }, async (task: Running, ms: number) => {
  writeSync(3, `run ${task.id}\n`);
  await new Promise((resolve) => setTimeout(resolve, ms));
  writeSync(3, `ran ${task.id}\n`);
  return ms;
});

const worker = new Worker(app, { concurrency: 3 });
// No process outlives the one that started it, however that one ended.
process.stdin.once("close", () => kill(pid, "SIGKILL")).resume().unref();
process.once("SIGTERM", () => void worker.stop());
await worker.run();
await app.close();
