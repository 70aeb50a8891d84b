/**
 * The worker: takes tasks from queues and runs them, until it is stopped.
 *
 * @module
 */
import { type AppInner, innerOf } from "../app/inner.ts";
import { idsOf } from "../app/revoke.ts";
import type { Broker } from "../broker.ts";
import type { QueuePlan } from "../app/route.ts";
import { CeleriacError, ConfigurationError } from "../errors.ts";
import { deferred } from "../lib/deferred.ts";
import type { Pool } from "../pool.ts";
import { nodename } from "../protocol/node.ts";
import type { StampedHeaders } from "../result/revoke.ts";
import { unlessAborted } from "./abort.ts";
import { TaskConsumer } from "./consumer.ts";
import { leadDelayed } from "./delayed.ts";
import { Env } from "./env.ts";
import { Health, type WorkerHealth } from "./health.ts";
import { Link } from "./link.ts";
import { checkOptions, readLimits, type WorkerOptions } from "./options.ts";
import { LoopPool } from "./pool.ts";
import { probeOf } from "./probe.ts";
import { revokeIn, type RevokeOptions } from "./revoke.ts";
import { Shutdown, type StopOptions } from "./shutdown.ts";
import type { WorkerSnapshot } from "./state.ts";
import { readWatchOptions, watchdogOf, type WatchTimes } from "./watchdog.ts";
import { prefetchWindow } from "./window.ts";

export type { WorkerOptions };

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
  readonly #shutdown = new Shutdown(() => this.#env);
  readonly #health: Health;
  readonly #watch: WatchTimes;
  readonly #ended = deferred<void>();
  #state: "new" | "running" | "ended" = "new";
  #failure: Error | undefined;
  #consumer: TaskConsumer | undefined;

  /** A worker for `app`, a `Celery`; it does nothing before `run()`. */
  constructor(app: object, options: WorkerOptions = {}) {
    this.#app = innerOf(app);
    checkOptions(options);
    const { settings, platform, logger } = this.#app;
    this.hostname = nodename(options.hostname, platform.host.hostname);
    this.queues = queuesOf(this.#app, options, this.hostname);
    this.#multiplier = options.prefetchMultiplier ?? settings.workerPrefetchMultiplier;
    const concurrency = options.concurrency ?? settings.workerConcurrency ?? CONCURRENCY;
    this.#pool = options.pool ?? new LoopPool(concurrency, platform.host.pid);
    this.#env = new Env(this.#app, {
      hostname: this.hostname,
      limits: readLimits(options, settings),
      logger: options.logger ?? logger,
      probe: probeOf(options),
      stopping: this.#shutdown.begun,
    });
    this.#watch = readWatchOptions(options);
    this.#health = new Health(platform.clock, this.#watch.silence, () => this.#env.state.insisting);
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
    const { results, revokes, state } = this.#env;
    return { ...state.snapshot(), revoked: revokes.ids, unstored: results.unstored };
  }

  /**
   * Whether a message that waits would come to it now, and why not; `aliveAt` is the last moment at which it would have. Asks nobody: it may
   * be called as often as one likes. See `healthHandler` for an HTTP answer.
   */
  health(): WorkerHealth {
    return this.#health.look();
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
    this.#health.enter("running");
    try {
      if (!await unlessAborted(this.#app.ready(), this.#shutdown.begun)) return;
      this.#shutdown.begun.addEventListener(
        "abort",
        () => void this.#app.hooks.tell("workerShuttingDown", this),
        { once: true },
      );
      using link = new Link(this.#env, this.#app.broker(), this.#health, (error) => this.#fail(error));
      using _watchdog = watchdogOf(this.#watch, this.#env, this.#health, (error) => this.#fail(error));
      await this.#consume(link);
    } finally {
      await this.#app.hooks.tell("workerShutdown", this);
      this.#state = "ended";
      this.#shutdown.end();
      this.#health.enter("stopped");
      this.#ended.resolve();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Consumes no more, gives back at once what has not begun, and waits for what runs: until it ends ("warm", the default), for a while
   * ("soft"), or hardly at all ("cold"). Results are stored, messages settled, and all of it flushed to the broker; then it resolves. Asked
   * again it waits for the same end, which may be made harder: a second `stop({ how: "cold" })` cuts a warm one short.
   *
   * Cold, `task.signal` is aborted (`WorkerShutdownError`) and a task has a second to end. One that returns has succeeded. One that throws
   * (having asked for the signal), or goes on, goes back to its queue where it is acked late, and runs again elsewhere; where it was acked early its failure is stored,
   * since nobody runs it again. What a task that goes on comes to is dropped. A broker or backend that does not answer is given up after
   * five seconds. Warm, a backend that cannot be reached is waited for ten seconds once nothing runs.
   *
   * Throws `ConfigurationError` "option-unknown", "option-invalid", "duration-invalid".
   *
   * @example
   * await worker.stop({ how: "soft", grace: "25s" });
   */
  async stop(options: StopOptions = {}): Promise<void> {
    if (this.#state === "ended") return;
    this.#shutdown.ask(options);
    this.#health.enter(this.#state === "new" ? "stopped" : "stopping");
    if (this.#state === "new") {
      this.#shutdown.end();
      this.#state = "ended";
    } else await this.#ended.promise;
  }

  /**
   * Revokes tasks (Celery: `control.revoke`): what waits here is discarded, what comes later is not run, REVOKED is stored, and the backend
   * keeps the revoke for other workers and later ones (see `Celery.revoke`). With `terminate` a task that runs has its `task.signal` aborted
   * (`TaskRevokedError`); it ends as REVOKED where it then throws, as SUCCESS where it returns all the same. This worker remembers 50,000 ids
   * for three hours, as Celery's. Resolves, when all is stored, with the ids that were terminated; a backend in trouble is told in the log.
   * Throws `ConfigurationError` "option-unknown", "option-invalid".
   */
  async revoke(ids: string | readonly string[], options: RevokeOptions = {}): Promise<readonly string[]> {
    return await revokeIn(this.#env, this.#consumer, { ids: idsOf(ids) }, options);
  }

  /**
   * The same for all that bears one of these stamps, now and later (Celery: `control.revoke_by_stamped_headers`); remembered as ids are.
   *
   * @example
   * await worker.revokeByStampedHeaders({ tenant: ["acme", "emca"] });
   */
  async revokeByStampedHeaders(
    headers: StampedHeaders,
    options: RevokeOptions = {},
  ): Promise<readonly string[]> {
    return await revokeIn(this.#env, this.#consumer, { headers }, options);
  }

  /** The same as `stop()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #consume(link: Link): Promise<void> {
    const { begun: signal, cold } = this.#shutdown;
    if (!await link.open(signal)) return;
    const broker = this.#app.broker();
    const plans = this.queues.map((name) => this.#app.intake(name));
    const queues = plans.map(({ name }) => name);
    demandHeard(broker, plans);
    const declared = broker.declare(plans.flatMap((plan) => plan.entities), { signal });
    if (!await unlessAborted(declared, signal)) return;
    if (!await leadDelayed(this.#env, broker, plans, signal)) return;
    const prefetch = prefetchWindow(this.#pool.size, this.#multiplier, plans.length);
    const deliveries = broker.consume(queues, { prefetch });
    this.#health.watch(deliveries);
    const longest = broker.features.park === "none" ? 0 : broker.features.maxPark;
    const consumer = new TaskConsumer(this.#env, this.#pool, deliveries, prefetch, longest);
    this.#consumer = consumer;
    await serve(consumer, signal, cold, queues, () => {
      this.#env.logger.log("info", `${this.hostname} ready.`);
      void this.#app.hooks.tell("workerReady", this);
    });
  }

  /** The link is given up: what runs may finish, nothing more comes. */
  #fail(error: Error): void {
    this.#failure ??= error;
    this.#shutdown.ask();
    this.#health.enter("stopping");
  }
}

/** Better no worker than one that hears nothing of a queue that it seems to consume. */
function demandHeard({ features, transport }: Broker, plans: readonly QueuePlan[]): void {
  const unheard = plans.find(({ exchangeType }) => exchangeType === "fanout");
  // A broker of leases keeps lists: what goes to a fanout exchange is told to those who listen, and over HTTP nobody can.
  if (unheard === undefined || features.loss === "link" || features.subscribe) return;
  throw new ConfigurationError(
    "broadcast-unsupported",
    `The queue ${unheard.name} hangs on the fanout exchange ${unheard.exchange}, which ${transport} brings to listeners and no queue.`,
    { hint: "Leave it out (excludeQueues, -X): workers cannot take broadcasts over HTTP." },
  );
}

/** Those that are named or the app's own, without those that are left alone, and the one of this worker alone (`workerDirect`). */
function queuesOf(
  app: AppInner,
  { queues, excludeQueues = [] }: WorkerOptions,
  hostname: string,
): readonly string[] {
  const direct = app.settings.workerDirect ? [`${hostname}.dq2`] : [];
  const consumed = [...app.consumedQueues(queues, excludeQueues), ...direct];
  if (consumed.length > 0) return consumed;
  throw new ConfigurationError("option-invalid", "The worker's option excludeQueues leaves it no queue.");
}

/** Receives until the signal or a fatal error, and drains in either case. */
async function serve(
  consumer: TaskConsumer,
  signal: AbortSignal,
  cold: AbortSignal,
  queues: readonly string[],
  ready: () => void,
): Promise<void> {
  let draining: Promise<void> | undefined;
  const drain = (): Promise<void> => draining ??= consumer.stop(cold);
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
