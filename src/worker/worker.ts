/**
 * The worker: takes tasks from queues and runs them, until it is stopped.
 *
 * @module
 */
import { type AppInner, innerOf } from "../app/inner.ts";
import { CeleriacError, ConfigurationError } from "../errors.ts";
import { deferred } from "../lib/deferred.ts";
import type { Logger } from "../lib/logger.ts";
import { didYouMean } from "../lib/suggest.ts";
import type { Pool } from "../pool.ts";
import { nodename } from "../protocol/node.ts";
import { unlessAborted } from "./abort.ts";
import { TaskConsumer } from "./consumer.ts";
import { Env } from "./env.ts";
import { Link } from "./link.ts";
import { LoopPool } from "./pool.ts";
import { probeOf } from "./probe.ts";
import type { WorkerSnapshot } from "./state.ts";
import { prefetchWindow } from "./window.ts";

/** How a worker works. */
export interface WorkerOptions {
  /** The queues to consume. @default those of the app (`taskQueues`, or the default queue) */
  readonly queues?: readonly string[];
  /** Tasks that run at a time. @default the setting `workerConcurrency`, or 10 (Celery: one a CPU; tasks here share an event loop) */
  readonly concurrency?: number;
  /** Messages held for each slot, running ones included; 0 is unlimited. @default the setting `workerPrefetchMultiplier`, 4 */
  readonly prefetchMultiplier?: number;
  /** The node name; `%h` is the host's name, `%n` its first part, `%d` its domain. @default "celery@%h" */
  readonly hostname?: string;
  /** What gives tasks their slots. @default the event loop, `concurrency` at a time */
  readonly pool?: Pool;
  /** Where log lines go. @default the app's logger */
  readonly logger?: Logger;
}

const OPTIONS = ["queues", "concurrency", "prefetchMultiplier", "hostname", "pool", "logger"] as const;

/** Tasks at a time where nobody says otherwise: they share an event loop and mostly wait. */
const CONCURRENCY = 10;

/**
 * Runs an app's tasks (Celery: `celery worker`).
 *
 * The constructor does no I/O. Throws `ConfigurationError`: "app-invalid" (no Celery app), "two-copies" (an app of another copy of this
 * package), "option-unknown", "option-invalid".
 *
 * @example
 * await using worker = new Worker(app, { queues: ["sum-queue"], concurrency: 4 });
 * await worker.run();
 */
export class Worker implements AsyncDisposable {
  /** The node name, with its placeholders filled in. */
  readonly hostname: string;
  /** The queues that are consumed. */
  readonly queues: readonly string[];
  readonly #app: AppInner;
  readonly #env: Env;
  readonly #pool: Pool;
  readonly #multiplier: number;
  readonly #stopping = new AbortController();
  readonly #ended = deferred<void>();
  #state: "new" | "running" | "ended" = "new";
  #failure: Error | undefined;

  /** A worker for `app`, a `Celery`; it does nothing before `run()`. */
  constructor(app: object, options: WorkerOptions = {}) {
    this.#app = innerOf(app);
    checkOptions(options);
    const { settings, platform, logger } = this.#app;
    this.hostname = nodename(options.hostname, platform.host.hostname);
    this.queues = options.queues ?? this.#app.defaultQueues();
    this.#multiplier = options.prefetchMultiplier ?? settings.workerPrefetchMultiplier;
    const concurrency = options.concurrency ?? settings.workerConcurrency ?? CONCURRENCY;
    this.#pool = options.pool ?? new LoopPool(concurrency, platform.host.pid);
    this.#env = new Env(
      this.#app,
      this.hostname,
      options.logger ?? logger,
      this.#stopping.signal,
      probeOf(options),
    );
  }

  /** Tasks that run at a time. */
  get concurrency(): number {
    return this.#pool.size;
  }

  /** What gives tasks their slots. */
  get pool(): Pool {
    return this.#pool;
  }

  /** What it is doing now, and has done so far. */
  snapshot(): WorkerSnapshot {
    return this.#env.state.snapshot();
  }

  /**
   * Connects, consumes, and runs tasks; resolves when it was stopped and everything is settled, at whatever
   * moment of its start-up that was. Rejects with the coded error of a broker
   * that cannot be reached or refuses (see the settings `brokerConnectionRetryOnStartup` and `brokerConnectionMaxRetries`), "broker-missing"
   * where the app has none, the error of a queue that cannot be declared, or of a task module that cannot be loaded; running tasks have
   * ended then. A worker runs once: "worker-used".
   */
  async run(): Promise<void> {
    if (this.#state !== "new") {
      throw new CeleriacError("worker-used", "A worker runs once.", { hint: "Make a new one." });
    }
    this.#state = "running";
    try {
      if (!await unlessAborted(this.#app.ready(), this.#stopping.signal)) return;
      using link = new Link(this.#env, this.#app.broker(), (error) => this.#fail(error));
      await this.#consume(link);
    } finally {
      this.#state = "ended";
      this.#ended.resolve();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Warm shutdown: consumes no more, gives back what has not begun, lets running tasks finish, settles and flushes. Resolves when all that
   * is done; calling it again waits for the same end.
   */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#state === "new") this.#state = "ended";
    else if (this.#state === "running") await this.#ended.promise;
  }

  /** The same as `stop()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #consume(link: Link): Promise<void> {
    const { signal } = this.#stopping;
    if (!await link.open(signal)) return;
    const broker = this.#app.broker();
    const plans = this.queues.map((name) => this.#app.queue(name));
    const declared = broker.declare(plans.flatMap((plan) => plan.entities), { signal });
    if (!await unlessAborted(declared, signal)) return;
    const prefetch = prefetchWindow(this.#pool.size, this.#multiplier, plans.length);
    const consumer = new TaskConsumer(
      this.#env,
      this.#pool,
      broker.consume(this.queues, { prefetch }),
      prefetch,
    );
    await serve(consumer, signal, this.queues, () => this.#env.logger.log("info", `${this.hostname} ready.`));
  }

  /** The link is given up: what runs may finish, nothing more comes. */
  #fail(error: Error): void {
    this.#failure ??= error;
    this.#stopping.abort();
  }
}

/** Receives until the signal or a fatal error, and drains in either case. */
async function serve(
  consumer: TaskConsumer,
  signal: AbortSignal,
  queues: readonly string[],
  ready: () => void,
): Promise<void> {
  let draining: Promise<void> | undefined;
  const drain = (): Promise<void> => draining ??= consumer.stop();
  // Its fault is thrown below; here it must only not go unheeded.
  const onAbort = (): void => void drain().catch(() => {});
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await consumer.run(queues, ready);
  } finally {
    await drain();
  }
}

function checkOptions(options: WorkerOptions): void {
  for (const name of Object.keys(options)) {
    if ((OPTIONS as readonly string[]).includes(name)) continue;
    const hint = didYouMean(name, OPTIONS) ?? `It has ${OPTIONS.join(", ")}.`;
    throw new ConfigurationError("option-unknown", `A worker has no option ${JSON.stringify(name)}.`, {
      hint,
    });
  }
  const { concurrency, hostname, prefetchMultiplier, queues } = options;
  if (hostname !== undefined && typeof hostname !== "string") throw invalid("hostname", "a text");
  if (concurrency !== undefined && !isWhole(concurrency, 1)) {
    throw invalid("concurrency", "a whole number from 1 up");
  }
  if (prefetchMultiplier !== undefined && !isWhole(prefetchMultiplier, 0)) {
    throw invalid("prefetchMultiplier", "a whole number from 0 up");
  }
  if (queues !== undefined && (!Array.isArray(queues) || queues.length === 0)) {
    throw invalid("queues", "an array with the name of a queue at least");
  }
}

function isWhole(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}

function invalid(name: string, what: string): ConfigurationError {
  return new ConfigurationError("option-invalid", `The worker's option ${name} must be ${what}.`);
}
