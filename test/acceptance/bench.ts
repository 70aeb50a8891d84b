/**
 * A worker on a RabbitMQ that may be broken in any way, behind a proxy; and a sender past that proxy.
 *
 * @module
 */
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import type { AmqpTcpOptions } from "../../adapters/amqp/tcp.ts";
import { memoryBackend } from "../../adapters/memory/mod.ts";
import { Celery } from "../../mod.ts";
import type { CeleryOptions } from "../../src/app/options.ts";
import { Worker, type WorkerOptions } from "../../src/worker/worker.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import type { RabbitServer } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { placeOf, through } from "../redis/setup.ts";

/** Quick to notice, quick to return. */
export const QUICK: AmqpTcpOptions = {
  heartbeat: "2s",
  connectTimeout: "2s",
  publishTimeout: "20s",
  reconnect: { min: "50ms", max: "1s" },
};

/** See the module. */
export interface Bench extends AsyncDisposable {
  readonly proxy: Proxy;
  /** The worker's app. */
  readonly app: Celery;
  /** Sends past the proxy. */
  readonly sender: Celery;
  readonly queue: string;
  /** "level message", with the code behind it where there is one. */
  readonly lines: string[];
  work(options?: WorkerOptions): Promise<Working>;
  said(pattern: RegExp): Promise<string>;
}

/** A worker that is ready. */
export interface Working {
  readonly worker: Worker;
  readonly run: Promise<void>;
  /** Why it ended, if it did. */
  readonly ended: () => unknown;
}

/** A fresh queue on the server. */
export async function bench(
  server: RabbitServer,
  { broker = {}, ...options }: Omit<CeleryOptions, "broker"> & { readonly broker?: AmqpTcpOptions } = {},
): Promise<Bench> {
  const proxy = await startProxy(placeOf(server.url));
  const queue = `acceptance.${crypto.randomUUID()}`;
  const lines: string[] = [];
  const app = new Celery("worker", {
    broker: amqpBroker(through(server.url, proxy.port), { ...QUICK, ...broker }),
    backend: memoryBackend(),
    taskDefaultQueue: queue,
    logger: {
      log: (level, message, fields) => {
        const code = fields?.["code"];
        lines.push(`${level} ${message}${typeof code === "string" ? ` (${code})` : ""}`);
      },
    },
    ...options,
  });
  const sender = new Celery("sender", { broker: amqpBroker(server.url, QUICK), taskDefaultQueue: queue });
  const working: Working[] = [];
  const said = (pattern: RegExp): Promise<string> =>
    until(() => lines.find((line) => pattern.test(line)), {
      what: `${pattern}`,
      deadline: 30_000,
      seen: () => lines.slice(-30).join("\n"),
    });
  return {
    ...{ proxy, app, sender, queue, lines, said },
    async work(workerOptions = {}) {
      const worker = new Worker(app, workerOptions);
      const run = worker.run();
      let ended: unknown;
      run.then(() => ended = "it was stopped", (error: unknown) => ended = error);
      const one = { worker, run, ended: () => ended };
      working.push(one);
      await until(() => ended !== undefined || worker.health().healthy, {
        what: "a worker that consumes",
        deadline: 30_000,
      });
      return one;
    },
    async [Symbol.asyncDispose]() {
      proxy.heal();
      await Promise.all(working.map(({ worker }) => worker.stop()));
      await Promise.allSettled(working.map(({ run }) => run));
      await app.close();
      await sender.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}
