/**
 * Workers killed between claim and settle, again and again, while tasks go through them; then every task is accounted for.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { Redis } from "ioredis";
import { redisBackend, redisBroker } from "../../../../adapters/redis/tcp.ts";
import { Celery } from "../../../../mod.ts";
import type { Duration } from "../../../../src/lib/duration.ts";
import type { Point } from "../../../../src/worker/probe.ts";
import { type Proxy, startProxy } from "../../../support/proxy.ts";
import { startRedis } from "../../../support/servers.ts";
import { until } from "../../../support/wait.ts";
import { bareClient, placeOf, through } from "../../setup.ts";
import { type Account, account, type Life } from "./account.ts";
import { bundleWorker } from "../../../support/bundle-worker.ts";
import type { Orders } from "./orders.ts";

const POINTS: readonly Point[] = [
  "accepted",
  "started",
  "ended",
  "followed",
  "stored",
  "beforeSettle",
  "afterSettle",
];
const QUEUE = "kill";

/** How long a process lives after its first task, ms. */
const LONGEST_LIFE = 2500;

/** How a process dies. */
type Death =
  /** Some time after it received its first task, ms. */
  | { readonly by: "time"; readonly after: number }
  /** By its own hand at a point of a task's way. */
  | { readonly by: "point"; readonly point: Point; readonly nth: number }
  /** While the answer of a claim is on its way to it: the server has handed out what it never learns of. */
  | { readonly by: "claim"; readonly nth: number };

/** What is run. */
export interface KillOptions {
  /** Tasks that are acked late. */
  readonly late: number;
  /** Tasks that are acked early. */
  readonly early: number;
  /** How many processes are killed at least. */
  readonly kills: number;
  /** Processes at a time. */
  readonly processes: number;
  /** Workers in each. */
  readonly workers: number;
  readonly seed: number;
  /** A private server, which is emptied. @default one of its own */
  readonly url?: string;
  /** After how long without a word a consumer is dead. @default "5s" */
  readonly consumerTimeout?: Duration;
  /** Ends it: it fails then, as not all is done. An instant of `performance.now()`. */
  readonly until?: number;
  readonly onProgress?: (line: string) => void;
}

/** What came of it. */
export interface KillReport extends Account {
  readonly late: number;
  readonly early: number;
  readonly kills: number;
  /** Workers that died with them. */
  readonly workersKilled: number;
  readonly deaths: Readonly<Record<string, number>>;
  /** Stored results of late tasks that are SUCCESS. */
  readonly stored: number;
  /** What is left in Redis: lists, `unacked`, its index. */
  readonly left: number;
  /** s */
  readonly seconds: number;
}

/** See the module. */
export async function killRun(options: KillOptions): Promise<KillReport> {
  const begun = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "celeriac-kill-"));
  await using own = options.url === undefined ? await startRedis() : undefined;
  const url = options.url ?? own?.url ?? "";
  await using redis = bareClient(url);
  await redis.flushall();
  try {
    const run = new Run(options, folder, url, redis);
    await run.prepare();
    await run.work();
    return await run.report(begun);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class Run {
  readonly #options: KillOptions;
  readonly #folder: string;
  readonly #url: string;
  readonly #redis: Redis;
  readonly #lives: { readonly file: string; killed: boolean }[] = [];
  readonly #deaths: Record<string, number> = Object.fromEntries(
    [...POINTS.map((point) => `at ${point}`), "at a claim's answer", "at any time"].map((how) => [how, 0]),
  );
  readonly #late: Set<string> = new Set();
  readonly #early: Set<string> = new Set();
  readonly #orders: Iterator<Death>;
  readonly #alive: Set<ChildProcess> = new Set();
  #script = "";
  #kills = 0;
  #over = false;
  /** How long a task takes on the average, ms: it steers, so that tasks and kills come to their ends together. */
  #pace = 60;

  constructor(options: KillOptions, folder: string, url: string, redis: Redis) {
    this.#options = options;
    this.#folder = folder;
    this.#url = url;
    this.#redis = redis;
    this.#orders = deathsOf(options.seed);
  }

  async prepare(): Promise<void> {
    this.#script = await bundleWorker(new URL("./worker.ts", import.meta.url), this.#folder);
  }

  async work(): Promise<void> {
    const { processes } = this.#options;
    const publishing = this.#publish();
    const slots = Array.from({ length: processes }, () => this.#slot());
    try {
      await publishing;
      await this.#drained();
    } finally {
      this.#over = true;
      for (const child of this.#alive) child.kill("SIGTERM");
      await Promise.all(slots);
    }
  }

  async report(begun: number): Promise<KillReport> {
    const { workers } = this.#options;
    const lives = this.#lives.map(({ file, killed }): Life => ({
      killed,
      record: readFileSync(file, "utf8"),
    }));
    let stored = 0;
    const ids = [...this.#late];
    for (let at = 0; at < ids.length; at += 500) {
      const texts = await this.#redis.mget(ids.slice(at, at + 500).map((id) => `celery-task-meta-${id}`));
      stored += texts.filter((text) => text?.includes('"status": "SUCCESS"')).length;
    }
    return {
      late: this.#late.size,
      early: this.#early.size,
      kills: this.#kills,
      workersKilled: this.#kills * workers,
      deaths: this.#deaths,
      stored,
      left: await this.#left() + await this.#redis.zcard("unacked_index"),
      ...account(lives, this.#late, this.#early),
      seconds: Math.round((performance.now() - begun) / 1000),
    };
  }

  /** Tasks in a random order of both kinds, never many more in the queue than the workers have taken. */
  async #publish(): Promise<void> {
    const { early, kills, late, seed } = this.#options;
    await using app = new Celery("feed", {
      broker: redisBroker(this.#url),
      backend: redisBackend(this.#url),
      taskDefaultQueue: QUEUE,
    });
    const [random] = fc.sample(fc.infiniteStream(fc.noBias(fc.nat(999))), { seed, numRuns: 1 });
    const draw = (): number => random?.next().value ?? 0;
    const total = late + early;
    for (let left = { late, early }; left.late + left.early > 0;) {
      const most = Math.min(Math.max(10, Math.ceil(total / 50)), 100, left.late + left.early);
      const calls = Array.from({ length: most }, () => {
        const isEarly = draw() * (left.late + left.early) < left.early * 1000;
        left = isEarly ? { ...left, early: left.early - 1 } : { ...left, late: left.late - 1 };
        const ms = Math.round(this.#pace * draw() / 500);
        return { name: isEarly ? "kill.early" : "kill.late", args: [ms] };
      });
      const outcomes = await app.sendMany(calls);
      outcomes.forEach((outcome, at) => {
        if (outcome.status === "rejected") throw outcome.reason;
        (calls[at]?.name === "kill.early" ? this.#early : this.#late).add(outcome.value.id);
      });
      for (;;) {
        this.#inTime();
        const waiting = await this.#redis.llen(QUEUE);
        const done = this.#late.size + this.#early.size - await this.#left();
        const ahead = (done / total) / Math.max(0.001, this.#kills / kills);
        this.#pace = Math.min(2000, Math.max(5, this.#pace * (ahead > 1.02 ? 1.1 : ahead < 0.98 ? 0.9 : 1)));
        // The last tasks come when the last kill is near.
        const allowed = total * (this.#kills + Math.max(2, kills / 50)) / kills;
        if (waiting < 200 && this.#late.size + this.#early.size < allowed) break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Everything is settled. */
  async #drained(): Promise<void> {
    const { until: end = Infinity } = this.#options;
    await until(async () => await this.#left() === 0, {
      what: `the end of all tasks; ${this.#kills} kills so far`,
      deadline: Math.min(600_000, end - performance.now()),
      every: 100,
    });
  }

  /** Messages in lists and in `unacked`. */
  async #left(): Promise<number> {
    return await this.#redis.llen(QUEUE) + await this.#redis.hlen("unacked");
  }

  /** One process after the other. */
  async #slot(): Promise<void> {
    await using proxy = await startProxy(placeOf(this.#url));
    while (!this.#over) await this.#life(proxy);
  }

  async #life(proxy: Proxy): Promise<void> {
    const { consumerTimeout = "5s", kills, onProgress, workers } = this.#options;
    // The last ones live: somebody must finish the work.
    const death = this.#kills < kills ? this.#orders.next().value as Death : undefined;
    const life = { file: join(this.#folder, `${this.#lives.length}.log`), killed: false };
    this.#lives.push(life);
    const log = openSync(life.file, "a");
    const orders: Orders = {
      broker: death?.by === "claim" ? through(this.#url, proxy.port) : this.#url,
      backend: this.#url,
      queue: QUEUE,
      workers,
      concurrency: 3,
      consumerTimeout,
      visibilityTimeout: "60s",
      log: 3,
      ...(death?.by === "point" && { dies: death }),
    };
    const child = spawn(process.execPath, [this.#script, JSON.stringify(orders)], {
      stdio: ["pipe", "pipe", "inherit", log],
    });
    closeSync(log);
    this.#alive.add(child);
    const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const kill = (): void => void child.kill("SIGKILL");
    // No moment comes where no task does, and no point where too few do.
    let timed = death?.by === "time";
    const soon = (ms: number): NodeJS.Timeout =>
      setTimeout(() => {
        timed = true;
        kill();
      }, ms);
    let timer = death === undefined ? undefined : soon(15_000);
    child.stdout?.once("data", () => {
      clearTimeout(timer);
      if (death !== undefined) timer = soon(death.by === "time" ? death.after : LONGEST_LIFE);
    });
    let answers = death?.by === "claim" ? death.nth : 0;
    proxy.onChunk = (direction, bytes) => {
      // Only the answer of a claim holds a body.
      if (answers === 0 || direction === "up" || !Buffer.from(bytes).includes('"body"')) return;
      if (--answers > 0) return;
      kill();
      proxy.cut();
    };
    if (this.#over) child.kill("SIGTERM");
    await exit;
    clearTimeout(timer);
    proxy.onChunk = undefined;
    this.#alive.delete(child);
    life.killed = child.signalCode === "SIGKILL";
    if (!life.killed) {
      if (!this.#over) {
        throw new Error(`a process of workers ended by itself: ${child.signalCode ?? child.exitCode}`);
      }
      return;
    }
    this.#kills++;
    const how = timed || death === undefined || death.by === "time"
      ? "at any time"
      : death.by === "point"
      ? `at ${death.point}`
      : "at a claim's answer";
    this.#deaths[how] = (this.#deaths[how] ?? 0) + 1;
    onProgress?.(`${this.#kills} kills, ${this.#late.size + this.#early.size} published`);
  }

  #inTime(): void {
    if (performance.now() > (this.#options.until ?? Infinity)) {
      throw new Error(`out of time after ${this.#kills} kills`);
    }
  }
}

/** How processes die, by the seed. */
function deathsOf(seed: number): Iterator<Death> {
  const death: fc.Arbitrary<Death> = fc.noBias(fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ by: fc.constant("time" as const), after: fc.integer({ min: 1, max: 1200 }) }),
    },
    {
      weight: 9,
      arbitrary: fc.record({
        by: fc.constant("point" as const),
        point: fc.constantFrom(...POINTS),
        nth: fc.integer({ min: 1, max: 20 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ by: fc.constant("claim" as const), nth: fc.integer({ min: 1, max: 20 }) }),
    },
  ));
  const [deaths] = fc.sample(fc.infiniteStream(death), { seed, numRuns: 1 });
  return deaths as Iterator<Death>;
}
