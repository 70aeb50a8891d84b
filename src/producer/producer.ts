/**
 * The lean sender: what an edge function needs of Celery, and nothing of workers, canvas or results.
 *
 * @module
 */
import type { PublishBroker } from "../broker.ts";
import { toMs } from "../lib/duration.ts";
import { checkNames } from "../lib/options.ts";
import { senderPlatform } from "../lib/platform.ts";
import type { SenderPlatform } from "../lib/port.ts";
import { anonNodename } from "../protocol/node.ts";
import { packPlain } from "../protocol/task-plain.ts";
import { demand, demandText } from "../lib/demand.ts";
import type { ProducerCallOptions, ProducerOptions, ProducerSendOptions } from "./options.ts";
import { RETRY_POLICY } from "./retry.ts";
import { isAlone, type Job, type Parcel, publish, start, type Way } from "./road.ts";
import { type Route, routeTo } from "./route.ts";
import type { Effort } from "./settings.ts";
import { CALL_OPTIONS, specOf } from "./spec.ts";
import type {
  ApplyArgs,
  Registered,
  TaskArgs,
  TaskFunction,
  TaskRegistry,
  TaskResult,
  TasksByName,
} from "./task.ts";

/** A task that was sent: the broker has it. On purpose no promise of its result; `resultOf` reads that. */
export interface Sent<T = unknown> {
  /** The task's id. */
  readonly id: string;
  /** Never there: it carries the type of the result for `resultOf`. */
  readonly "~result"?: T;
}

/** A task that a producer can send. Both ways resolve once the broker confirmed, and throw as {@link Producer.sendTask} does. */
export interface ProducerTask<N extends string = string, F extends TaskFunction = TaskFunction> {
  /** The name under which workers know it. */
  readonly name: N;
  /** Sends the task with these arguments (Celery: `delay`). */
  delay(...args: TaskArgs<F>): Promise<Sent<TaskResult<F>>>;
  /** Sends the task with options (Celery: `apply_async`). */
  applyAsync(...call: ApplyArgs<TaskArgs<F>, ProducerCallOptions>): Promise<Sent<TaskResult<F>>>;
  /** Sends the task with arguments by name. */
  applyAsync(
    args: readonly unknown[],
    options: ProducerCallOptions & { readonly kwargs: Readonly<Record<string, unknown>> },
  ): Promise<Sent<TaskResult<F>>>;
}

/** Its settings; the first ones are {@link MADE} by a function of their own. */
const SETTINGS =
  "taskPublishRetryPolicy taskQueues taskRoutes broker platform taskDefaultPriority taskDefaultQueue taskPublishRetry publishTimeout"
    .split(" ") as (keyof ProducerOptions)[];

const MADE = 3;

/**
 * Sends tasks, and does nothing else: a fraction of the size of `Celery`, with the same messages but for `argsrepr` and `kwargsrepr`, which
 * show the JSON text. It writes JSON and instants in UTC, and knows nothing of a task that may be running. Each call is published at once. Its constructor does no I/O, starts no timer and draws no id, so that it may stand
 * at the top of a module of an edge function.
 *
 * @example
 * ```ts
 * import { Producer } from "celeriac/producer";
 * import { memoryBroker } from "celeriac/memory";
 *
 * const producer = new Producer({ broker: memoryBroker() });
 * const { id } = await producer.sendTask("tasks.add", { args: [2, 3] });
 * ```
 */
export class Producer {
  readonly #options: ProducerOptions;
  readonly #platform: SenderPlatform;
  readonly #way: Way;
  /** One queue is one route. */
  readonly #routes = new Map<string, Route>();
  #oid: string | undefined;

  /**
   * Throws `ConfigurationError`: "option-invalid" (no broker, or a URL for one), "option-unknown" (also what takes `Celery`),
   * "duration-invalid".
   */
  constructor(options: ProducerOptions) {
    checkNames("A Producer (Celery has more)", options, SETTINGS);
    const {
      broker,
      platform = senderPlatform,
      publishTimeout = 30,
      taskDefaultQueue,
      taskPublishRetry = true,
      taskPublishRetryPolicy = () => RETRY_POLICY,
    } = options;
    demand(
      typeof (broker as Partial<PublishBroker> | undefined)?.publish === "function",
      "broker",
      "an adapter, not a URL",
    );
    demandText(taskDefaultQueue, "taskDefaultQueue");
    demand(typeof taskPublishRetry === "boolean", "taskPublishRetry", "true or false");
    for (const name of SETTINGS.slice(0, MADE)) {
      demand(
        /undefined|function/.test(typeof options[name]),
        name,
        "made by queues(), routes() or retryPolicy()",
      );
    }
    const effort: Effort = {
      retry: taskPublishRetry,
      policy: taskPublishRetryPolicy(),
      timeout: toMs(publishTimeout, "publishTimeout"),
    };
    this.#options = { ...options };
    this.#platform = platform;
    this.#way = {
      clock: platform.clock,
      broker: () => broker,
      effort: () => effort,
    };
  }

  /** Sends a task of the {@link TaskRegistry} by name. */
  sendTask<N extends Extract<keyof TaskRegistry, string>>(
    name: N,
    options: Omit<ProducerSendOptions, "args"> & { readonly args: TaskArgs<Registered<N>> },
  ): Promise<Sent<TaskResult<Registered<N>>>>;
  /**
   * Sends a task by name; nothing of it need be known here. Resolves once the broker confirmed. Throws `PublishError`
   * ("publish-unroutable", "publish-refused", "publish-unknown"), `ConnectionError` where no connection could be had ("broker-unreachable",
   * "broker-credentials-refused" and others), `EncodeError`, `ConfigurationError` ("option-unknown", "option-invalid", "duration-invalid";
   * "topology-mismatch" and others where the queue cannot be declared), `TaskArgumentError` "argument-undefined", `InvalidTaskError`
   * "task-invalid". After a `ConnectionError` or `ConfigurationError` nothing was sent.
   */
  sendTask<T = unknown>(name: string, options?: ProducerSendOptions): Promise<Sent<T>>;
  sendTask(name: string, options: ProducerSendOptions = {}): Promise<Sent<never>> {
    const [sent] = this.#send([[name, options]]) as [Promise<Sent<never>>];
    return sent;
  }

  /** Sends all in one batch to the broker; each has its own outcome, in the same order. */
  sendMany(
    items: readonly (ProducerSendOptions & { readonly name: string })[],
  ): Promise<PromiseSettledResult<Sent>[]> {
    return Promise.allSettled(this.#send(items.map(({ name, ...options }) => [name, options])));
  }

  /**
   * The tasks of another module by type only, so that no task body is bundled:
   * `const jobs = producer.tasksOf<typeof import("./tasks.ts")>(); await jobs("tasks.add").delay(2, 3)`.
   */
  tasksOf<M extends object>(): <N extends keyof TasksByName<M> & string>(
    name: N,
  ) => ProducerTask<N, Extract<TasksByName<M>[N], TaskFunction>> {
    return (name) => ({
      name,
      delay: (...args: readonly unknown[]) => this.sendTask<never>(name, { args }),
      applyAsync: (args: readonly unknown[] = [], options?: ProducerCallOptions) =>
        this.sendTask<never>(name, { ...options, args }),
    });
  }

  /**
   * Closes the broker, which waits for what is on its way. A publish that waits to be repeated is repeated all the same: wait for its own
   * promise where that matters.
   */
  close(): Promise<void> {
    return this.#options.broker.close();
  }

  /** As {@link Producer.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One batch; what names its own deadline or signal goes alone. */
  #send(calls: readonly (readonly [name: string, options: ProducerSendOptions])[]): Promise<Sent<never>>[] {
    const way = this.#way;
    const batch: Job[] = [];
    const sent = calls.map(([name, options]) =>
      start(
        way,
        () => this.#pack(name, options),
        (job) => isAlone(job) ? void publish(way, [job]) : batch.push(job),
      )
    );
    if (batch.length > 0) void publish(way, batch);
    return sent;
  }

  #pack(name: string, options: ProducerSendOptions): Parcel<Sent<never>> {
    checkNames("A call of a Producer (Celery has more)", options, CALL_OPTIONS);
    demandText(options.queue, "queue");
    demandText(options.taskId, "taskId");
    const { clock, ids, host } = this.#platform;
    const { taskDefaultPriority, taskDefaultQueue = "celery", taskQueues, taskRoutes } = this.#options;
    const { args, kwargs, taskId: id = ids.uuid() } = options;
    const rule = taskRoutes?.(name);
    const queue = options.queue ?? rule?.queue ?? taskDefaultQueue;
    const route = this.#routes.get(queue) ?? taskQueues?.(queue, taskDefaultQueue) ??
      // As Celery makes a queue that it is not told of.
      routeTo(queue, queue, "direct", queue);
    this.#routes.set(queue, route);
    const now = clock.now();
    const message = packPlain(specOf(name, args, kwargs, options, {
      id,
      origin: anonNodename(host),
      replyTo: this.#oid ??= ids.uuid(),
      now,
      priority: options.priority ?? rule?.priority ?? taskDefaultPriority,
    }));
    return { ...route, what: `${name}[${id}]`, options, message, now, sent: () => ({ id }) };
  }
}
