/**
 * Workers in processes of their own, each killed at a named point of one task's way; then one that lives does what is left.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { redisBackend } from "../../../../adapters/redis/tcp.ts";
import { type Broker, Celery, type Running } from "../../../../mod.ts";
import { silentLogger } from "../../../../src/lib/logger.ts";
import { type Point, withProbe } from "../../../../src/worker/probe.ts";
import { Worker } from "../../../../src/worker/worker.ts";
import { bundleWorker } from "../../../support/bundle-worker.ts";
import { until } from "../../../support/wait.ts";
import type { Orders } from "./orders.ts";

/** Processes at a time. */
const WIDTH = 3;

/** What workers on Redis are told. */
export const TIMES = { consumerTimeout: "2s", visibilityTimeout: "60s" } as const;

/** One task, and where its worker is killed. */
export interface Case {
  readonly name: string;
  readonly task: string;
  readonly point: Point;
  /** Runs begun and ended, the final state, and runs of the task that is linked to it; " or " between two that may be. */
  readonly becomes: string;
}

/** What is played, and where. */
export interface Play {
  readonly cases: readonly Case[];
  /** URL of the broker, and a client of it. */
  readonly url: string;
  readonly broker: Broker;
  /** URL of a Redis. */
  readonly backend: string;
  /** For bundle and records. */
  readonly folder: string;
  /** Whether nothing waits, and nobody has anything in hand. */
  isEmpty(queues: readonly string[]): Promise<boolean>;
}

/** By the cases' names, what is to become of their tasks, and what did. */
export interface Played {
  readonly becomes: Readonly<Record<string, string>>;
  readonly became: Readonly<Record<string, string>>;
  readonly queues: readonly string[];
}

/** Runs a worker until it kills itself; what it wrote stands in the file. */
async function live(script: string, file: string, orders: Omit<Orders, "log">): Promise<void> {
  const log = openSync(file, "a");
  const child = spawn(process.execPath, [script, JSON.stringify({ ...orders, log: 3 })], {
    stdio: ["pipe", "ignore", "inherit", log],
  });
  closeSync(log);
  const end = await new Promise<string>((resolve) =>
    child.once("exit", (code, signal) => resolve(signal ?? `exit ${code}`))
  );
  expect(end, orders.queue).toBe("SIGKILL");
}

/** See the module. */
export async function playPoints({ backend, broker, cases, folder, isEmpty, url }: Play): Promise<Played> {
  const script = await bundleWorker(new URL("./worker.ts", import.meta.url), folder);
  const mark = crypto.randomUUID();
  const queueOf = (name: string): string => `${name}.${mark}`;
  const fileOf = (name: string): string => join(folder, `${name}.log`);
  await using app = new Celery("points", { broker, backend: redisBackend(backend), logger: silentLogger });
  const next = app.task("kill.next", () => null);
  for (const { name, task } of cases) {
    // Where the victim does not look: it would begin what is linked before it dies.
    const link = next.si().set({ taskId: `next-${name}`, queue: queueOf("next") });
    await app.sendTask(task, {
      ...{ queue: queueOf(name), taskId: name },
      ...(task.startsWith("kill.again") ? {} : { args: [0], link }),
    });
  }
  const waiting = [...cases];
  await Promise.all(Array.from({ length: WIDTH }, async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      await live(script, fileOf(one.name), {
        ...{ broker: url, backend, queue: queueOf(one.name), workers: 1, concurrency: 1 },
        ...TIMES,
        dies: { point: one.point, nth: 1 },
      });
    }
  }));

  // Somebody who lives.
  const seen: string[] = [];
  app.task("kill.early", () => null);
  app.task("kill.late", { acksLate: true }, () => null);
  const again = (task: Running): null => {
    if (task.retries === 0) throw task.retry({ countdown: 1 });
    return null;
  };
  app.task("kill.again.early", { bind: true }, again);
  app.task("kill.again.late", { bind: true, acksLate: true }, again);
  const at = (point: Point, { message }: { readonly message: { readonly id: string } }): boolean => {
    if (point === "started") seen.push(`run ${message.id}`);
    if (point === "ended") seen.push(`ran ${message.id}`);
    return false;
  };
  const queues = ["next", ...cases.map(({ name }) => name)].map(queueOf);
  await using worker = new Worker(
    app,
    withProbe({ queues, concurrency: 4 }, { at, dismissed: () => {} }),
  );
  const running = worker.run();
  await until(() => worker.health().healthy, { what: "a worker that consumes", deadline: 30_000 });
  const isIdle = (): boolean => worker.snapshot().active.length + worker.snapshot().reserved.length === 0;
  await until(async () => isIdle() && await isEmpty(queues) && isIdle(), {
    what: "nothing left",
    deadline: 60_000,
    every: 100,
    seen: () => seen.join("\n"),
  });

  const became: Record<string, string> = {};
  for (const { name, becomes } of cases) {
    const record = `${readFileSync(fileOf(name), "utf8")}\n${seen.join("\n")}\n`;
    const count = (what: string): number =>
      record.split(` ${what}\n`).length + record.split(`\n${what}\n`).length - 2;
    const state = await app.result(name).state();
    const what = [count(`run ${name}`), count(`ran ${name}`), state, count(`run next-${name}`)].join(", ");
    became[name] = becomes.split(" or ").includes(what) ? becomes : what;
  }
  await worker.stop();
  await running;
  return { becomes: Object.fromEntries(cases.map(({ name, becomes }) => [name, becomes])), became, queues };
}
