/**
 * The app: what a program declares its tasks on and sends them with.
 *
 * @module
 */
import { type AnySignature, merged, Signature } from "../canvas/signature.ts";
import { ConfigurationError } from "../errors.ts";
import type {
  Registered,
  Task,
  TaskArgs,
  TaskFunction,
  TaskRegistry,
  TaskResult,
  TasksByName,
} from "../producer/task.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { StampedHeaders } from "../result/revoke.ts";
import type { SendOptions } from "../result/sender.ts";
import type { Call } from "./compose.ts";
import { callOf } from "./calls.ts";
import type { AppCore } from "./core.ts";
import { type AnyTaskOptions, Declaration } from "./declaration.ts";
import { senderOf, signatureCall, taskHandle } from "./handle.ts";
import type { HookName, Middleware, Observer, ObserverOptions } from "./hook-events.ts";
import { APP } from "./inner.ts";
import type { Running } from "./running.ts";
import { type CeleryOptions, coreOf, forkOptions } from "./options.ts";
import type { Settings } from "./settings.ts";
import type { SchemaInput, SchemaOutput, StandardSchemaV1 } from "./standard-schema.ts";
import type { BoundTaskOptions, InputTaskOptions, PlainTaskOptions } from "./task.ts";

/** A call for {@link Celery.sendMany}: a signature, or a task's name with options. */
export type ManyItem = AnySignature<unknown> | (SendOptions & { readonly name: string });

/** The outcome of one call of {@link Celery.sendMany}. */
export type ManyOutcome<I> = PromiseSettledResult<AsyncResult<I extends AnySignature<infer R> ? R : unknown>>;

/**
 * A Celery app. Its constructor does no I/O, starts no timer and draws no id.
 *
 * @example
 * ```ts
 * import { Celery } from "celeriac";
 * import { memoryBackend, memoryBroker } from "celeriac/memory";
 *
 * const app = new Celery("sum app", { broker: memoryBroker(), backend: memoryBackend() });
 * const add = app.task("tasks.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
 * const result = await add.delay(2, 3);
 * ```
 */
export class Celery {
  /** The app's name. */
  readonly name: string;
  readonly #core: AppCore;

  /**
   * Throws `ConfigurationError`: "option-unknown", "setting-invalid", "duration-invalid", "transports-missing" (a URL without
   * `transports`). A setting that only Celery has is one warning.
   */
  constructor(name: string, options: CeleryOptions = {}) {
    this.name = name;
    this.#core = coreOf(name, options);
    Object.defineProperty(this, APP, { value: this.#core });
  }

  /** The settings, complete: durations in ms. */
  get conf(): Settings {
    return this.#core.settings;
  }

  /**
   * Takes settings by Celery's names or in camelCase, also the old upper-case ones; several calls add up. What the constructor says wins,
   * as in Celery. Throws as the constructor does, and "settings-in-use" once the broker or the backend was used.
   */
  configFromObject(settings: object): void {
    this.#core.config.add(settings as Readonly<Record<string, unknown>>);
    this.#core.adapters.check();
  }

  /** Declares a task whose function takes the running task first. */
  task<const N extends string, A extends readonly unknown[], R>(
    name: N,
    options: BoundTaskOptions<NoInfer<A>>,
    fn: (task: Running, ...args: A) => R,
  ): Task<N, (...args: A) => Awaited<R>>;
  /** Declares a task whose function takes one object, checked by a schema. */
  task<const N extends string, S extends StandardSchemaV1, R>(
    name: N,
    options: InputTaskOptions<S>,
    fn: (input: SchemaOutput<S>, task: Running) => R,
  ): Task<N, (input: SchemaInput<S>) => Awaited<R>>;
  /** Declares a task. */
  task<const N extends string, A extends readonly unknown[], R>(
    name: N,
    options: PlainTaskOptions<NoInfer<A>>,
    fn: (...args: A) => R,
  ): Task<N, (...args: A) => Awaited<R>>;
  /**
   * Declares a task. Throws `ConfigurationError`: "task-duplicate" for a name that is taken, "params-invalid", "option-unknown",
   * "task-invalid".
   */
  task<const N extends string, A extends readonly unknown[], R>(
    name: N,
    fn: (...args: A) => R,
  ): Task<N, (...args: A) => Awaited<R>>;
  task(name: string, options: AnyTaskOptions | TaskFunction, fn?: TaskFunction): Task {
    const declaration = typeof options === "function"
      ? new Declaration(name, {}, options)
      : new Declaration(name, options, fn as TaskFunction);
    this.#core.registry.add(declaration);
    const { idle } = declaration;
    if (idle.length > 0) {
      this.#core.logger.log(
        "warning",
        `Task ${name} sets ${idle.join(", ")}: celeriac's workers do not act on that yet.`,
      );
    }
    return taskHandle(this.#core, name);
  }

  /** Sends a task of the {@link TaskRegistry} by name. */
  sendTask<N extends Extract<keyof TaskRegistry, string>>(
    name: N,
    options: Omit<SendOptions, "args"> & { readonly args: TaskArgs<Registered<N>> },
  ): Promise<AsyncResult<TaskResult<Registered<N>>>>;
  /**
   * Sends a task by name; nothing of it need be known here. Resolves once the broker confirmed. Throws `PublishError`
   * ("publish-unroutable", "publish-refused", "publish-unknown"), `ConnectionError` where no connection could be had ("broker-unreachable",
   * "broker-credentials-refused" and others), `EncodeError`, `ConfigurationError` ("broker-missing", "option-unknown", "option-invalid",
   * "queue-unknown"; "topology-mismatch" and others where the queue cannot be declared), `InvalidTaskError` "task-invalid". After a
   * `ConnectionError` or `ConfigurationError` nothing was sent.
   */
  sendTask<T = unknown>(name: string, options?: SendOptions): Promise<AsyncResult<T>>;
  sendTask(name: string, options: SendOptions = {}): Promise<AsyncResult<never>> {
    return this.#core.send(name, options) as Promise<AsyncResult<never>>;
  }

  /** Sends all in one batch to the broker; each has its own outcome, in the same order. */
  sendMany<const I extends readonly ManyItem[]>(
    items: I,
  ): Promise<{ -readonly [K in keyof I]: ManyOutcome<I[K]> }> {
    const calls = items.map((item) => () =>
      item instanceof Signature
        ? this.#core.declared(signatureCall(item.task, merged(item, [], {})), true)
        : namedCall(item)
    );
    return this.#core.sendMany(calls) as Promise<{ -readonly [K in keyof I]: ManyOutcome<I[K]> }>;
  }

  /** A call of any task by name, to be sent later. */
  signature<T = unknown>(name: string, options: SendOptions = {}): Signature<readonly unknown[], T> {
    const { args = [], kwargs = {}, ...rest } = callOf(name, options).options as SendOptions;
    return new Signature(senderOf(this.#core), { task: name, args, kwargs, options: rest, immutable: false });
  }

  /** The result of a task by its id. */
  result<T = unknown>(id: string): AsyncResult<T> {
    return this.#core.result<T>(id);
  }

  /**
   * Revokes tasks: kept in the backend for `taskRevokeExpires`, and REVOKED is stored for those without a final state (Celery:
   * `control.revoke`, whose workers hear of it by remote control and forget it when they stop). A worker asks for it before it runs a task
   * that was delivered before, waited for its time or was parked; with `workerCheckRevoked: "always"` before each. A task that runs already
   * goes on, and its end replaces REVOKED. Throws `ConfigurationError` "backend-missing", "option-invalid", `CeleriacError`
   * "revoke-unsupported" (a backend that keeps no facts), and the backend's errors.
   *
   * @example
   * const result = await add.applyAsync([2, 3], { countdown: 3600 });
   * await app.revoke(result.id);
   */
  revoke(ids: string | readonly string[]): Promise<void> {
    return this.#core.revoke(ids);
  }

  /**
   * Revokes what bears one of these stamps, now and later: a header's name with a value, or several (Celery: `revoke_by_stamped_headers`).
   * Kept and asked for as {@link Celery.revoke} says; nothing is stored for tasks that are not known yet. Throws the same errors.
   */
  revokeByStampedHeaders(headers: StampedHeaders): Promise<void> {
    return this.#core.revokeByStampedHeaders(headers);
  }

  /** A task of the {@link TaskRegistry}, to be sent by this app. */
  ref<N extends Extract<keyof TaskRegistry, string>>(name: N): Task<N, Registered<N>> {
    return taskHandle(this.#core, name);
  }

  /**
   * The tasks of another module by type only, so that no task body is bundled:
   * `const jobs = app.tasksOf<typeof import("./tasks.ts")>(); await jobs("tasks.add").delay(2, 3)`.
   */
  tasksOf<M extends object>(): <N extends keyof TasksByName<M> & string>(
    name: N,
  ) => Task<N, Extract<TasksByName<M>[N], TaskFunction>> {
    return (name) => taskHandle(this.#core, name);
  }

  /**
   * An app with the same tasks that sends by itself, whatever the async context says. What the options do not name is this app's; shared
   * adapters are not closed by the fork.
   */
  fork(options: CeleryOptions = {}): Celery {
    return new Celery(this.name, forkOptions(options, this.#core));
  }

  /**
   * Hears of the app's work (Celery: signals): `app.on("taskFailure", ({ task, error }) => …)`. What a listener throws is logged as
   * "hook-failed" and harms nothing; a promise is waited for only with `{ wait: true }`. Workers of the app and its forks tell, too.
   * Disposing the answer ends it. Throws `ConfigurationError` "option-unknown", "option-invalid".
   */
  on<K extends HookName>(hook: K, listener: Observer<K>, options: ObserverOptions = {}): Disposable {
    return this.#core.hooks.on(hook, listener as Observer, options);
  }

  /**
   * Stands around each publish and each run, as layers of an onion: `app.use({ run: async (task, next) => { …; return await next(); } })`.
   * The first one in use is the outermost; a fork's stand within its origin's. Disposing the answer takes it away. Throws
   * `ConfigurationError` "option-unknown", "option-invalid".
   */
  use(middleware: Middleware): Disposable {
    return this.#core.hooks.use(middleware);
  }

  /**
   * Runs `callback` with this app as the sender of all that the tasks of its family (its origin and forks) send within. Throws
   * `ConfigurationError` "context-missing" on runtimes without an async context.
   */
  run<R>(callback: () => R): R {
    if (this.#core.platform.context.available) return this.#core.enter(callback);
    throw new ConfigurationError("context-missing", "This runtime has no async context.", {
      hint: "Send by the fork itself: fork.sendTask(…), fork.ref(…).",
    });
  }

  /** Waits for what is on its way, then closes the broker and the backend: a script ends with no socket open. */
  close(): Promise<void> {
    return this.#core.close();
  }

  /** As {@link Celery.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function namedCall({ name, ...options }: SendOptions & { readonly name: string }): Call {
  return callOf(name, options);
}
