/**
 * `celeriac worker`: runs the app's tasks until a signal ends it.
 *
 * @module
 */
import type { Command } from "commander";
import type { Celery } from "../app/app.ts";
import { innerOf } from "../app/inner.ts";
import { type ConsoleLogger, consoleLogger, localTime } from "../lib/console-logger.ts";
import type { Duration } from "../lib/duration.ts";
import type { LogLevel } from "../lib/logger.ts";
import { LOG_LEVELS } from "../lib/logger.ts";
import { oneLine } from "../lib/printable.ts";
import type { StopOptions } from "../worker/shutdown.ts";
import { unlessAborted } from "../worker/abort.ts";
import { healthHandler } from "../worker/health-handler.ts";
import { Worker } from "../worker/worker.ts";
import type { WorkerOptions } from "../worker/worker.ts";
import { renderBanner } from "./banner.ts";
import { explain } from "./failure.ts";
import { findApp, type Globals } from "./globals.ts";
import { type Address, EXIT, type Host } from "./host.ts";
import { declareMissingWorkerFlags, missingFlag } from "./missing.ts";
import { address, duration, level, list, whole } from "./options.ts";
import { stopOnSignals } from "./signals.ts";
import { VERSION } from "./version.ts";

interface WorkerFlags {
  readonly queues?: readonly string[];
  readonly excludeQueues?: readonly string[];
  readonly concurrency?: number;
  readonly hostname?: string;
  readonly loglevel: LogLevel;
  readonly pool: string;
  readonly prefetchMultiplier?: number;
  readonly include?: readonly string[];
  readonly health?: Address;
  readonly deadLimit?: Duration;
  readonly timeLimit?: Duration;
  readonly softTimeLimit?: Duration;
}

/** Makes `command` the worker command; `done` takes the exit code. */
export function workerCommand(
  command: Command,
  host: Host,
  globals: () => Globals,
  done: (code: number) => void,
): void {
  command.description("run a worker")
    .option("-Q, --queues <list>", "queues to consume, with commas", list)
    .option("-X, --exclude-queues <list>", "queues not to consume, with commas", list)
    .option("-c, --concurrency <count>", "tasks that run at a time", whole(1))
    .option("-n, --hostname <name>", "the node name, as worker@%h: %h host, %n its first part, %d domain")
    .option("-l, --loglevel <level>", "DEBUG, INFO, WARNING, ERROR or CRITICAL", level, "warning")
    .option("-P, --pool <kind>", "what runs the tasks: loop", "loop")
    .option("--prefetch-multiplier <count>", "messages held for each slot; 0 is unlimited", whole(0))
    .option("--time-limit <time>", "how long a task may run: seconds, or such as 10m", duration)
    .option("--soft-time-limit <time>", "when a task is asked to end: seconds, or such as 10m", duration)
    .option("--health <address>", "answer health probes over HTTP at this port, or host:port", address)
    .option(
      "--dead-limit <time>",
      "end with 1 after so long without consuming: seconds, or such as 10m",
      duration,
    )
    .option("-I, --include <list>", "more modules with tasks, with commas", list)
    .action(async (flags: WorkerFlags) => {
      const missing = missingFlag({ ...flags }) ?? missingPool(flags.pool);
      if (missing !== undefined) command.error(missing, { code: "celeriac.usage" });
      done(await runWorker(host, globals(), flags));
    });
  declareMissingWorkerFlags(command);
}

/** Celery's pool that means the same here, one thread, is taken for the loop. */
const POOLS = ["loop", "solo"];

function missingPool(kind: string): string | undefined {
  if (POOLS.includes(kind)) return undefined;
  return `error: celeriac has no pool '${kind}' yet: its tasks share one event loop (-P loop)`;
}

async function runWorker(host: Host, globals: Globals, flags: WorkerFlags): Promise<number> {
  const colour = globals.colour && host.stderr.colour;
  const logger = consoleLogger({
    level: flags.loglevel,
    colour,
    write: (text) => host.stderr.write(text),
  });
  await using found = await findApp(globals, host, flags.include);
  const { app } = found;
  const worker = new Worker(app, optionsOf(flags, logger));
  const stopping = new AbortController();
  const stop = (options?: StopOptions): Promise<void> => {
    stopping.abort();
    return worker.stop(options);
  };
  const isSoft = (): boolean => app.conf.workerSoftShutdownTimeout > 0;
  const signals = stopOnSignals(host, { stop }, logger, isSoft);
  const watches = [signals, logStrays(host, logger)];
  try {
    // Before all else: a worker whose modules take long to load is asked as well.
    if (flags.health !== undefined) watches.push(await probe(host, flags.health, worker, logger));
    if (!await unlessAborted(innerOf(app).ready(), stopping.signal)) return signals.code;
    if (!globals.quiet) host.stdout.write(banner(host, globals, app, worker, flags.loglevel));
    await worker.run();
    return signals.code;
  } catch (error) {
    logger.flush();
    explain(host, error, colour);
    // As Celery: 69 is for commands that ask a broker, a worker that cannot start has failed.
    return EXIT.failure;
  } finally {
    logger.flush();
    for (const watch of watches) watch[Symbol.dispose]();
  }
}

async function probe(host: Host, at: Address, worker: Worker, logger: ConsoleLogger): Promise<Disposable> {
  const served = await host.serve(at, healthHandler(worker).fetch);
  const name = served.host.includes(":") ? `[${served.host}]` : served.host;
  logger.log("info", `Health is at http://${name}:${served.port}/`);
  return served;
}

function optionsOf(flags: WorkerFlags, logger: ConsoleLogger): WorkerOptions {
  const { queues, excludeQueues, concurrency, deadLimit, hostname, prefetchMultiplier } = flags;
  const { softTimeLimit, timeLimit } = flags;
  return {
    logger,
    ...(queues === undefined || queues.length === 0 ? {} : { queues }),
    ...(excludeQueues === undefined ? {} : { excludeQueues }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(prefetchMultiplier === undefined ? {} : { prefetchMultiplier }),
    ...(deadLimit === undefined ? {} : { deadLimit }),
    ...(timeLimit === undefined ? {} : { timeLimit }),
    ...(softTimeLimit === undefined ? {} : { softTimeLimit }),
  };
}

function banner(host: Host, globals: Globals, app: Celery, worker: Worker, loglevel: LogLevel): string {
  const inner = innerOf(app);
  const listed = LOG_LEVELS.indexOf(loglevel) <= LOG_LEVELS.indexOf("info");
  return renderBanner({
    hostname: worker.hostname,
    version: VERSION,
    system: host.system,
    time: localTime(new Date(host.now())),
    app: inner.name,
    transport: inner.broker().address,
    results: inner.backend()?.address ?? "disabled://",
    concurrency: worker.concurrency,
    pool: worker.pool.kind,
    queues: worker.queues.map((name) => inner.queue(name)),
    tasks: listed ? [...inner.tasks.keys()] : undefined,
  }, globals.colour && host.stdout.colour);
}

/** A promise that a task left behind and nobody heard must not take the other tasks down. */
function logStrays(host: Host, logger: ConsoleLogger): Disposable {
  return host.onStray((error) => {
    const traceback = error instanceof Error ? error.stack : undefined;
    const text = asText(error);
    logger.log("error", `A promise was rejected and nobody heard: ${oneLine(text)}`, { error, traceback });
  });
}

/** A rejection may be anything, even what has no text. */
function asText(error: unknown): string {
  try {
    return String(error);
  } catch {
    return typeof error;
  }
}
