/** A worker is killed at each named point of one task's way: what becomes of the task is what docs/guarantees.md says of Redis. */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redisBackend, redisBroker } from "../../../adapters/redis/tcp.ts";
import { Celery, type Running } from "../../../mod.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { type Point, withProbe } from "../../../src/worker/probe.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { POINTS } from "../../simulation/plan.ts";
import { bundleWorker } from "../../support/bundle-worker.ts";
import { type PrivateServer, startRedis } from "../../support/servers.ts";
import { until } from "../../support/wait.ts";
import { bareClient } from "../setup.ts";
import type { Orders } from "./kill/orders.ts";

/** Processes at a time. */
const WIDTH = 3;

const TIMES = { consumerTimeout: "2s", visibilityTimeout: "60s" } as const;

const NEXT = "next";

/** One task, and where its worker is killed. */
interface Case {
  readonly name: string;
  readonly task: string;
  readonly point: Point;
  /** Runs begun and ended, the final state, and runs of the task that is linked to it. */
  readonly becomes: string;
}

/** By point, acked early and late. */
const PLAIN: Readonly<Record<Point, readonly [early: string, late: string]>> = {
  accepted: ["0, 0, PENDING, 0", "1, 1, SUCCESS, 1"],
  started: ["1, 0, PENDING, 0", "2, 1, SUCCESS, 1"],
  ended: ["1, 1, PENDING, 0", "2, 2, SUCCESS, 1"],
  followed: ["1, 1, PENDING, 1", "2, 2, SUCCESS, 2"],
  stored: ["1, 1, SUCCESS, 1", "2, 2, SUCCESS, 2"],
  beforeSettle: ["1, 1, SUCCESS, 1", "2, 2, SUCCESS, 2"],
  // Its late ack is written when the process dies, and has left it or not.
  afterSettle: ["1, 1, SUCCESS, 1", "1, 1, SUCCESS, 1 or 2, 2, SUCCESS, 2"],
};

const CASES: readonly Case[] = [
  ...POINTS.flatMap((point) =>
    (["early", "late"] as const).map((acks, at): Case => ({
      ...{ name: `${point}.${acks}`, task: `kill.${acks}`, point },
      becomes: PLAIN[point][at] ?? "",
    }))
  ),
  { name: "again.early", task: "kill.again.early", point: "followed", becomes: "2, 2, SUCCESS, 0" },
  { name: "again.late", task: "kill.again.late", point: "followed", becomes: "4, 4, SUCCESS, 0" },
];

let server: PrivateServer;
const folder = mkdtempSync(join(tmpdir(), "celeriac-points-"));

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const fileOf = (name: string): string => join(folder, `${name}.log`);

/** Runs a worker until it kills itself; what it wrote stands in the case's file. */
async function live(script: string, { name, point }: Case): Promise<void> {
  const log = openSync(fileOf(name), "a");
  const orders: Orders = {
    ...{ broker: server.url, backend: server.url, queue: name, workers: 1, concurrency: 1, log: 3 },
    ...TIMES,
    dies: { point, nth: 1 },
  };
  const child = spawn(process.execPath, [script, JSON.stringify(orders)], {
    stdio: ["pipe", "ignore", "inherit", log],
  });
  closeSync(log);
  const end = await new Promise<string>((resolve) =>
    child.once("exit", (code, signal) => resolve(signal ?? `exit ${code}`))
  );
  expect(end, name).toBe("SIGKILL");
}

test(
  "SIGKILL at each named point, acked early and late, with a link and with a retry: each cell is as in the guarantees",
  async () => {
    const script = await bundleWorker(new URL("./kill/worker.ts", import.meta.url), folder);
    await using redis = bareClient(server.url);
    await using app = new Celery("points", {
      broker: redisBroker(server.url, TIMES),
      backend: redisBackend(server.url),
      logger: silentLogger,
    });
    const next = app.task("kill.next", () => null);
    const ids = new Map<string, string>();
    for (const { name, task, point } of CASES) {
      // Where the victim does not look: it would begin what is linked before it dies.
      const link = next.si().set({ taskId: `next-${name}`, queue: NEXT });
      const { id } = await app.sendTask(task, {
        queue: name,
        ...(task.startsWith("kill.again") ? {} : { args: [0], link }),
        taskId: `${name}-${point}`,
      });
      ids.set(name, id);
    }
    const queues = [NEXT, ...CASES.map(({ name }) => name)];
    const waiting = [...CASES];
    await Promise.all(Array.from({ length: WIDTH }, async () => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await live(script, one);
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
    await using worker = new Worker(
      app,
      withProbe({ queues, concurrency: 4 }, { at, dismissed: () => {} }),
    );
    const running = worker.run();
    const isIdle = (): boolean => worker.snapshot().active.length + worker.snapshot().reserved.length === 0;
    await until(async () => {
      if (!isIdle() || await redis.exists("unacked", ...queues) > 0) return false;
      return isIdle();
    }, { what: "nothing left", deadline: 60_000, every: 100, seen: () => seen.join("\n") });

    const became: Record<string, string> = {};
    for (const { name, becomes } of CASES) {
      const record = `${readFileSync(fileOf(name), "utf8")}\n${seen.join("\n")}\n`;
      const count = (what: string): number => record.split(`${what}\n`).length - 1;
      const id = ids.get(name) ?? "";
      const state = await app.result(id).state();
      const what = [count(`run ${id}`), count(`ran ${id}`), state, count(`run next-${name}`)].join(", ");
      became[name] = becomes.split(" or ").includes(what) ? becomes : what;
    }
    console.log(became);
    expect(became).toEqual(Object.fromEntries(CASES.map(({ name, becomes }) => [name, becomes])));
    await worker.stop();
    await running;
  },
  180_000,
);
