/**
 * The road in one process, with nothing but npm: the sum application of `examples/sum` on the memory pair. 100 tasks are published over
 * HTTP through the Hono client, a worker with concurrency 4 runs them, the results are read over HTTP again. `npm run demo`.
 *
 * @module
 */
import { serve } from "@hono/node-server";
import { consoleLogger, Worker } from "celeriac/worker";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { sumClient } from "./sum/http.ts";
import { app } from "./sum/run.ts";

const TASKS = 100;

app.configFromObject({ broker_url: "memory://", result_backend: "memory://" });

const server = serve({ fetch: sumClient(app).fetch, hostname: "127.0.0.1", port: 0 });
await new Promise((resolve) => server.once("listening", resolve));
const { port } = server.address() as AddressInfo;
const client = `http://127.0.0.1:${port}`;
console.log(`client on ${client}, broker and results in memory`);

const worker = new Worker(app, {
  queues: ["sum-queue"],
  concurrency: 4,
  logger: consoleLogger({ level: "info" }),
});
const running = worker.run();

async function publish(): Promise<{ id: string; sum: number }> {
  const response = await fetch(`${client}/publish`);
  const [, a, b] = /a=(\d+), b=(\d+)/.exec(await response.text()) ?? [];
  return { id: response.headers.get("x-task-id") ?? "", sum: Number(a) + Number(b) };
}

async function resultOf(id: string): Promise<unknown> {
  // Waits in the same process, then asks as any HTTP client would.
  await app.result(id).get({ timeout: 10 });
  const { result } = await (await fetch(`${client}/result/${id}`)).json() as { result: unknown };
  return result;
}

const start = performance.now();
let right = 0;
const tasks = Array.from({ length: TASKS }, async () => {
  const { id, sum } = await publish();
  if (await resultOf(id) === sum) right += 1;
  if (right % 20 === 0) console.log(`progress: ${right} of ${TASKS}`);
});
await Promise.all(tasks);
const seconds = (performance.now() - start) / 1000;

await worker.stop();
await running;
await app.close();
server.close();
console.log(
  `${TASKS} published, ${right} right, ${TASKS - right} wrong in ${seconds.toFixed(2)} s: ${
    Math.round(TASKS / seconds)
  } tasks/s`,
);
process.exitCode = right === TASKS ? 0 : 1;
