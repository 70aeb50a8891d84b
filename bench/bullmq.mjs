/**
 * BullMQ: jobs with a result on Redis. It is no dependency of ours: its first run here fetches it into node_modules/.cache.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { pump } from "./pump.mjs";

const VERSION = "6.7.0";
const folder = fileURLToPath(new URL("../node_modules/.cache/celeriac-bench/", import.meta.url));

function load() {
  if (!existsSync(`${folder}node_modules/bullmq/package.json`)) {
    mkdirSync(folder, { recursive: true });
    const args = ["install", "--no-save", "--no-audit", "--no-fund", "--omit=optional", "--prefix", folder];
    execFileSync("npm", [...args, `bullmq@${VERSION}`], { stdio: "ignore" });
  }
  return createRequire(folder)("bullmq");
}

const { Queue, Worker } = load();

function connectionOf(redis) {
  const { hostname: host, port, pathname } = new URL(redis);
  return { host, port: Number(port || 6379), db: Number(pathname.slice(1) || 0), maxRetriesPerRequest: null };
}

/** Publishes `count` jobs, each answered, `width` in flight. */
export async function publish({ redis, queue: name, count, width }) {
  const queue = new Queue(name, { connection: connectionOf(redis) });
  await queue.waitUntilReady();
  return {
    run: () => pump(count, width, () => queue.add("bench.add", { a: 1, b: 2 })),
    close: () => queue.close(),
  };
}

/** Runs a worker until `count` jobs are completed; then takes the queue away. */
export async function consume({ redis, queue: name, count }) {
  const connection = connectionOf(redis);
  return {
    async run() {
      let left = count;
      const worker = new Worker(name, async ({ data: { a, b } }) => a + b, { connection, concurrency: 10 });
      await new Promise((resolve, reject) => {
        worker.on("error", reject);
        worker.on("completed", () => --left === 0 && resolve());
      });
      await worker.close();
    },
    async close() {
      const queue = new Queue(name, { connection });
      await queue.obliterate({ force: true });
      await queue.close();
    },
  };
}
