/**
 * A real Python Celery worker: started, watched by its log, stopped with its whole process group.
 *
 * @module
 */
import { startChild, tail } from "./child.ts";
import { explainEnd, FIXTURES, PYTHON, PYTHON_ENV } from "./python.ts";

/** How the worker is started. */
export interface CeleryWorkerOptions {
  readonly broker: string;
  readonly backend?: string;
  /** One name, or several. */
  readonly queue: string | readonly string[];
  /** The module of `test/interop/fixtures` that holds the app. @default "tasks" */
  readonly module?: string;
  /** @default "solo" */
  readonly pool?: "solo" | "threads" | "prefork";
  /** @default 1 */
  readonly concurrency?: number;
  /** @default "info" */
  readonly loglevel?: string;
  /** A node name; a fresh one by default. */
  readonly hostname?: string;
  /** Settings in Celery's own lower-case names. */
  readonly conf?: Readonly<Record<string, unknown>>;
  /** More flags. @default --without-mingle --without-gossip, which cost a second at the start */
  readonly flags?: readonly string[];
  /** ms until "ready". @default 30,000 */
  readonly timeout?: number;
}

/** The running worker. */
export interface CeleryWorker extends AsyncDisposable {
  readonly pid: number;
  readonly hostname: string;
  /** All that it wrote: banner and log lines. */
  readonly log: string;
  /** Undefined while it runs, else how it ended ("exit 0", "signal SIGKILL"). */
  readonly ended: string | undefined;
  /** Resolves when the log matches; throws with the log at the deadline (ms) or when the worker ends before. */
  saw(pattern: RegExp, timeout?: number): Promise<RegExpMatchArray>;
  /** Stops it warmly (SIGTERM), or by another signal; resolves with how it ended. */
  stop(signal?: NodeJS.Signals): Promise<string>;
}

let count = 0;

/** Starts `celery -A tasks worker` and waits for its "ready". Throws with its log where it does not get there. */
export async function startCeleryWorker(options: CeleryWorkerOptions): Promise<CeleryWorker> {
  count += 1;
  const hostname = options.hostname ?? `python${process.pid}-${count}@localhost`;
  const queues = typeof options.queue === "string" ? options.queue : options.queue.join(",");
  const child = startChild(PYTHON, [
    "-m",
    "celery",
    ...["-A", options.module ?? "tasks", "worker", "-Q", queues, "-n", hostname],
    ...[
      "-P",
      options.pool ?? "solo",
      "-c",
      String(options.concurrency ?? 1),
      "-l",
      options.loglevel ?? "info",
    ],
    ...(options.flags ?? ["--without-mingle", "--without-gossip"]),
  ], {
    cwd: FIXTURES,
    env: {
      ...PYTHON_ENV,
      PYTHONPATH: FIXTURES,
      CELERIAC_TEST_BROKER: options.broker,
      CELERIAC_TEST_BACKEND: options.backend ?? "",
      CELERIAC_TEST_PARENT: String(process.pid),
      CELERIAC_TEST_CONF: JSON.stringify(options.conf ?? {}),
    },
  });
  try {
    await child.saw(/ ready\.\s/, options.timeout ?? 30_000);
  } catch (error) {
    const ended = child.ended !== undefined;
    await child.stop("SIGKILL");
    throw ended ? explainEnd(child, `the Celery worker ${hostname}`) : error;
  }
  return {
    pid: child.pid,
    hostname,
    get log() {
      return child.log;
    },
    get ended() {
      return child.ended;
    },
    saw: child.saw,
    stop: (signal) => child.stop(signal),
    async [Symbol.asyncDispose]() {
      const ended = await child.stop();
      if (ended === "signal SIGKILL") {
        console.warn(`the Celery worker ${hostname} had to be killed\n${tail(child.log)}`);
      }
    },
  };
}
