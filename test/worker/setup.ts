/**
 * A worker on the memory pair with everything in sight: its log lines, and in one list what it publishes, stores and settles.
 *
 * @module
 */
import { memoryBackend, memoryBroker } from "../../adapters/memory/mod.ts";
import type { Backend } from "../../src/backend.ts";
import type { Broker, Consumer, Delivery, Message } from "../../src/broker.ts";
import { Celery } from "../../src/app/app.ts";
import { innerOf } from "../../src/app/inner.ts";
import type { CeleryOptions } from "../../src/app/options.ts";
import type { LogLevel } from "../../src/lib/logger.ts";
import { packContent } from "../../src/protocol/content.ts";
import { Worker, type WorkerOptions } from "../../src/worker/worker.ts";
import { until } from "../support/wait.ts";

/** One log line. */
export interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What the parts of a test hang on. */
export interface Bench extends AsyncDisposable {
  readonly app: Celery;
  readonly broker: Broker;
  readonly backend: Backend;
  readonly lines: Line[];
  /** "publish t.next", "store SUCCESS <id>", "settle ack <id>", in the order in which they were begun. */
  readonly trace: string[];
  /** Deliveries that were handed to the worker and are not settled. */
  readonly unsettled: ReadonlySet<Delivery>;
  /** Starts a worker; `done` resolves when its run has ended. */
  work(options?: WorkerOptions): { readonly worker: Worker; readonly done: Promise<void> };
  /** Puts a message into the queue as it is. */
  push(message: Partial<Message>, queue?: string): Promise<void>;
  /** Puts a task of protocol 2 into the queue, with these headers and body over the usual ones. */
  pushTask(
    headers: Readonly<Record<string, unknown>>,
    body?: unknown,
    more?: Partial<Message>,
  ): Promise<void>;
  /** The stored result, as text. */
  stored(id: string): Promise<string | undefined>;
  /** Resolves with the stored document once it has this status. */
  sees(id: string, status: string): Promise<Record<string, unknown>>;
  /** Resolves with the first line that matches. */
  says(pattern: RegExp): Promise<Line>;
}

/** How a bench is made. */
export interface SetupOptions extends CeleryOptions {
  /** Lets a test stand between the worker and its broker. */
  readonly wrapBroker?: (broker: Broker) => Broker;
  readonly wrapBackend?: (backend: Backend) => Backend;
}

/** A fresh app, broker and backend; nothing is shared between two benches. */
export function setup(options: SetupOptions = {}): Bench {
  const { wrapBroker = same, wrapBackend = same, ...settings } = options;
  const lines: Line[] = [];
  const trace: string[] = [];
  const unsettled = new Set<Delivery>();
  const untraced = wrapBroker(memoryBroker());
  const broker = traced(untraced, trace, unsettled);
  const backend = tracedBackend(wrapBackend(memoryBackend()), trace);
  const logger = {
    log: (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, message, fields });
    },
  };
  const app = new Celery("bench", { broker, backend, logger, ...settings });
  const workers: Worker[] = [];
  const ends: Promise<unknown>[] = [];

  const push = async (message: Partial<Message>, queue = "celery"): Promise<void> => {
    await untraced.declare(innerOf(app).queue(queue).entities);
    const [verdict] = await untraced.publish([{
      message: {
        headers: {},
        properties: {},
        contentType: "application/json",
        contentEncoding: "utf-8",
        body: new Uint8Array(),
        ...message,
      },
      to: { exchange: "", routingKey: queue },
      mustRoute: true,
    }]);
    if (verdict?.is !== "confirmed") throw new Error(`the message was not taken: ${JSON.stringify(verdict)}`);
  };

  return {
    app,
    broker,
    backend,
    lines,
    trace,
    unsettled,
    work(workerOptions = {}) {
      const worker = new Worker(app, { blockedLimit: null, ...workerOptions });
      const done = worker.run();
      // Whoever does not look at the end still has it ended before the next test.
      ends.push(done.catch(() => {}));
      workers.push(worker);
      return { worker, done };
    },
    push,
    async pushTask(headers, body = [[], {}, {}], more = {}) {
      const id = headers["id"];
      const { body: bytes } = await packContent(body);
      const properties = typeof id === "string" ? { correlation_id: id } : {};
      await push({ headers: { task: "t.add", id: "id-1", ...headers }, properties, body: bytes, ...more });
    },
    async stored(id) {
      const [record] = await backend.load([id]);
      return record?.text;
    },
    async sees(id, status) {
      return await until(async () => {
        const [record] = await backend.load([id]);
        return record?.status === status ? JSON.parse(record.text) as Record<string, unknown> : undefined;
      }, { what: `${status} of ${id}; ${lines.map((line) => line.message).join("\n")}` });
    },
    async says(pattern) {
      return await until(() => lines.find((line) => pattern.test(line.message)), {
        what: `a line like ${pattern} among:\n${lines.map((line) => line.message).join("\n")}`,
      });
    },
    async [Symbol.asyncDispose]() {
      for (const worker of workers) await worker.stop();
      await Promise.all(ends);
      await app.close();
    },
  };
}

/** The target with some of its methods replaced; the others run on the target itself, private fields and all. */
export function intercept<T extends object>(target: T, changes: Partial<T>): T {
  return new Proxy(target, {
    get(inner, key) {
      const changed: unknown = Reflect.get(changes, key);
      if (changed !== undefined) return changed;
      const value: unknown = Reflect.get(inner, key, inner);
      return typeof value === "function" ? value.bind(inner) : value;
    },
  });
}

function same<T>(value: T): T {
  return value;
}

function traced(broker: Broker, trace: string[], unsettled: Set<Delivery>): Broker {
  return intercept(broker, {
    publish(batch, call) {
      for (const { message } of batch) trace.push(`publish ${String(message.headers["task"])}`);
      return broker.publish(batch, call);
    },
    consume: (queues, options) => tracedConsumer(broker.consume(queues, options), trace, unsettled),
  });
}

function tracedConsumer(consumer: Consumer, trace: string[], unsettled: Set<Delivery>): Consumer {
  return intercept(consumer, {
    async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
      for await (const delivery of consumer) {
        const watched: Delivery = intercept(delivery, {
          settle(how) {
            trace.push(`settle ${how.as} ${String(delivery.message.headers["id"])}`);
            unsettled.delete(watched);
            return delivery.settle(how);
          },
        });
        unsettled.add(watched);
        yield watched;
      }
    },
  });
}

function tracedBackend(backend: Backend, trace: string[]): Backend {
  return intercept(backend, {
    store(record, options) {
      trace.push(`store ${record.status} ${record.taskId}`);
      return backend.store(record, options);
    },
  });
}
