/**
 * What the sender keeps of a task: its id, and the way to its result.
 *
 * @module
 */
import type { Backend, ResultRecord } from "../backend.ts";
import { CeleriacError, ConfigurationError, RemoteTaskError, TimeoutError } from "../errors.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import { checkOptionNames } from "../lib/options.ts";
import type { Platform } from "../lib/port.ts";
import { decodeException } from "../protocol/exception.ts";
import type { Limits } from "../protocol/limits.ts";
import { decodeResult, READY_STATES, type ResultMeta } from "../protocol/result.ts";
import { childIds, type ResultTuple } from "./tuple.ts";

/** Where results come from; the app is one. */
export interface ResultSource {
  /** The ports. */
  readonly platform: Platform;
  /** How results are read: `exact` keeps every distinction of the wire (`json: "exact"`). */
  readonly exact: boolean;
  /** How large a stored result may be. @default the protocol's limits */
  readonly limits?: Limits;
  /** Undefined where the app has none. */
  backend(): Backend | undefined;
  /** Keeps that these tasks are revoked; a producer alone has no such thing. */
  revoke?(ids: string | readonly string[]): Promise<void>;
}

const GET_OPTIONS = ["timeout", "signal", "propagate", "disableSyncSubtasks"];

/** How long and in what manner to wait. */
export interface GetOptions {
  /** Give up after this; a number is seconds. @default for ever */
  readonly timeout?: Duration;
  /** Give up when it is aborted, with its reason. */
  readonly signal?: AbortSignal;
  /** False: a failure is returned, not thrown. @default true */
  readonly propagate?: boolean;
  /** False: allow the wait inside a task, where it holds a worker's slot and may dead-lock (Celery has the same rule). @default true */
  readonly disableSyncSubtasks?: boolean;
}

/** One stored state. */
export interface StateChange {
  /** Celery's word: STARTED, RETRY, SUCCESS, FAILURE, REVOKED, or the task's own. */
  readonly state: string;
  /** What was stored with it: the task's meta, the result, or for FAILURE and REVOKED the {@link RemoteTaskError}. */
  readonly meta: unknown;
}

/** What makes an {@link AsyncResult} refuse to wait: the value of the async context inside a running task. */
function insideTask(current: unknown): boolean {
  return typeof current === "object" && current !== null &&
    typeof (current as { taskId?: unknown }).taskId === "string";
}

/**
 * The result of a task that may not have run yet. On purpose it has no `then`: awaiting `delay()` means "published", never "finished".
 * Every method that asks the backend throws `ConfigurationError` "backend-missing" where the app has none.
 */
export class AsyncResult<T = unknown> {
  /** The task's id. */
  readonly id: string;
  /** The result of the task before this one in a chain, or null. */
  readonly parent: AsyncResult<unknown> | null;
  readonly #source: ResultSource;
  /** A final state never changes, so it is read once. */
  #final: ResultMeta | undefined;

  /** Made by `delay()`, `sendTask()` and `app.result(id)`. */
  constructor(id: string, source: ResultSource, parent: AsyncResult<unknown> | null = null) {
    this.id = id;
    this.#source = source;
    this.parent = parent;
  }

  /**
   * Waits for the task and returns its result. A failure throws one {@link RemoteTaskError} (code "task-failed", or "task-revoked"),
   * a timeout `TimeoutError` "result-timeout": the task itself goes on. Inside a task it throws "result-wait-in-task", as Celery does,
   * unless `disableSyncSubtasks` is false.
   */
  get(options: GetOptions & { readonly propagate: false }): Promise<T | RemoteTaskError>;
  /** As above: the result, or the failure thrown. */
  get(options?: GetOptions): Promise<T>;
  async get(options: GetOptions = {}): Promise<T | RemoteTaskError> {
    checkOptionNames("get()", options, GET_OPTIONS);
    if (options.disableSyncSubtasks !== false && insideTask(this.#source.platform.context.current())) {
      throw new CeleriacError(
        "result-wait-in-task",
        `The result of task ${this.id} is awaited inside a task: that holds the worker's slot and may dead-lock.`,
        { hint: "Use a link or a chain, or pass { disableSyncSubtasks: false }." },
      );
    }
    const meta = this.#final ?? await this.#wait(options);
    const value = this.#reading(meta);
    if (value instanceof RemoteTaskError && isFailure(meta.status) && options.propagate !== false) {
      throw value;
    }
    return value as T | RemoteTaskError;
  }

  /** The state stored last; "PENDING" also where nothing is known of the id. */
  async state(): Promise<string> {
    return (await this.#load())?.status ?? "PENDING";
  }

  /** Whether the task is done: SUCCESS, FAILURE or REVOKED. */
  async ready(): Promise<boolean> {
    return READY_STATES.has(await this.state());
  }

  /** Whether the task is done and well. */
  async successful(): Promise<boolean> {
    return await this.state() === "SUCCESS";
  }

  /** Whether the task ended with an error. */
  async failed(): Promise<boolean> {
    return await this.state() === "FAILURE";
  }

  /** What is stored with the present state, without waiting: the result, the {@link RemoteTaskError}, or the task's meta (Celery: `info`). */
  async info(): Promise<unknown> {
    const meta = await this.#load();
    return meta === undefined ? null : this.#reading(meta);
  }

  /** The traceback of a failed task, or null. */
  async traceback(): Promise<string | null> {
    return (await this.#load())?.traceback ?? null;
  }

  /** When the task was done, ISO text as the worker wrote it, or null. */
  async dateDone(): Promise<string | null> {
    return (await this.#load())?.dateDone ?? null;
  }

  /** The results of the tasks that this one sent; null while none are stored. A group among them is given as its members. */
  async children(): Promise<readonly AsyncResult<unknown>[] | null> {
    const children = (await this.#load())?.children;
    if (children === undefined || children === null) return null;
    return childIds(children).map((id) => new AsyncResult(id, this.#source));
  }

  /** Removes the result from the backend. */
  async forget(): Promise<void> {
    this.#final = undefined;
    await this.#backend().forget([this.id]);
  }

  /** Revokes the task, as `Celery.revoke`. A producer's result throws "revoke-unsupported". */
  async revoke(): Promise<void> {
    if (this.#source.revoke !== undefined) return await this.#source.revoke(this.id);
    throw new CeleriacError("revoke-unsupported", "Only an app revokes: app.revoke(id).");
  }

  /** Yields each stored state that is seen, always the final one, and ends with it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StateChange, void, undefined> {
    if (this.#final !== undefined) {
      yield this.#change(this.#final);
      return;
    }
    for await (const record of this.#backend().watch([this.id])) {
      const meta = this.#read(record);
      yield this.#change(meta);
      if (READY_STATES.has(meta.status)) return;
    }
  }

  /** The form in which results travel: `[[id, parent], null]` (Celery: `as_tuple`). */
  asTuple(): ResultTuple {
    return [[this.id, this.parent?.asTuple() ?? null], null];
  }

  async #wait(options: GetOptions): Promise<ResultMeta> {
    const backend = this.#backend();
    options.signal?.throwIfAborted();
    const timeout = options.timeout === undefined ? undefined : toMs(options.timeout, "timeout");
    if (timeout !== undefined && timeout <= 0) {
      const [record] = await backend.load([this.id]);
      const meta = record === undefined ? undefined : this.#read(record);
      if (meta !== undefined && READY_STATES.has(meta.status)) return meta;
      throw this.#late(timeout);
    }
    const gaveUp = new AbortController();
    const onAbort = (): void => gaveUp.abort(options.signal?.reason);
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const timer = timeout === undefined
      ? undefined
      : this.#source.platform.clock.after(timeout, () => gaveUp.abort(this.#late(timeout)));
    try {
      for await (const record of backend.watch([this.id], { signal: gaveUp.signal })) {
        const meta = this.#read(record);
        if (READY_STATES.has(meta.status)) return meta;
      }
      throw gaveUp.signal.reason ?? this.#late(timeout ?? 0);
    } finally {
      timer?.cancel();
      options.signal?.removeEventListener("abort", onAbort);
    }
  }

  async #load(): Promise<ResultMeta | undefined> {
    if (this.#final !== undefined) return this.#final;
    const [record] = await this.#backend().load([this.id]);
    return record === undefined ? undefined : this.#read(record);
  }

  #read(record: ResultRecord): ResultMeta {
    const { exact, limits } = this.#source;
    const meta = decodeResult(record.text, limits === undefined ? { exact } : { exact, limits });
    if (READY_STATES.has(meta.status)) this.#final = meta;
    return meta;
  }

  #change(meta: ResultMeta): StateChange {
    return { state: meta.status, meta: this.#reading(meta) };
  }

  /** The stored value as the program sees it: failures as errors. */
  #reading(meta: ResultMeta): unknown {
    if (!isFailure(meta.status) && meta.status !== "RETRY") return meta.result;
    const exception = decodeException(meta.result);
    return new RemoteTaskError(meta.status === "REVOKED" ? "task-revoked" : "task-failed", this.id, {
      ...exception,
      traceback: meta.traceback ?? undefined,
    });
  }

  #backend(): Backend {
    const backend = this.#source.backend();
    if (backend !== undefined) return backend;
    throw new ConfigurationError(
      "backend-missing",
      `The result of task ${this.id} cannot be read: the app has no result backend.`,
      {
        hint: "Give one: new Celery(name, { backend: redisBackend(url) }).",
      },
    );
  }

  #late(timeout: number): TimeoutError {
    return new TimeoutError("result-timeout", `Task ${this.id} had no result within ${timeout / 1000} s.`);
  }
}

function isFailure(state: string): boolean {
  return state === "FAILURE" || state === "REVOKED";
}
