/**
 * The running task as its own function sees it.
 *
 * @module
 */
import type { Retry, RetryOptions } from "../app/predicates.ts";
import type { Running, TaskLog } from "../app/running.ts";
import type { AnySignature } from "../canvas/signature.ts";
import { ConfigurationError } from "../errors.ts";
import type { LogLevel } from "../lib/logger.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { SendOptions } from "../result/sender.ts";
import { label } from "./lines.ts";
import type { Request } from "./request.ts";
import { planRetry } from "./retry.ts";

/** Fields are read from the request when they are asked for: most tasks ask for few. */
export class RunningTask implements Running {
  readonly #request: Request;
  readonly #isTask: boolean;
  #log: TaskLog | undefined;

  /** `isTask`: it is the task itself that looks, and no hook or middleware beside it. */
  constructor(request: Request, isTask = false) {
    this.#request = request;
    this.#isTask = isTask;
  }

  get id(): string {
    return this.#request.message.id;
  }

  get name(): string {
    return this.#request.task.name;
  }

  get args(): readonly unknown[] {
    return this.#request.message.args;
  }

  get kwargs(): Readonly<Record<string, unknown>> {
    return this.#request.message.kwargs;
  }

  get retries(): number {
    return this.#request.message.retries;
  }

  get rootId(): string {
    return this.#request.message.rootId;
  }

  get parentId(): string | null {
    return this.#request.message.parentId;
  }

  get groupId(): string | null {
    return this.#request.message.group;
  }

  get hostname(): string {
    return this.#request.env.hostname;
  }

  get headers(): Readonly<Record<string, unknown>> {
    return this.#request.message.headers;
  }

  get delivery(): Running["delivery"] {
    const { route, queue, redelivered } = this.#request.delivery;
    return { ...route, queue, redelivered };
  }

  get signal(): AbortSignal {
    if (this.#isTask) this.#request.watched = true;
    return this.#request.signal;
  }

  get log(): TaskLog {
    return this.#log ??= taskLog(this.#request);
  }

  updateState(state: string, meta?: unknown): Promise<void> {
    return this.#request.update(state, meta);
  }

  retry(options: RetryOptions & { readonly throw: false }): Retry;
  retry(options?: RetryOptions): never;
  retry(options: RetryOptions = {}): Retry {
    const request = this.#request;
    if (request.outcome !== undefined) {
      throw new ConfigurationError("run-over", `Task ${request.label} cannot be retried: its run is over.`);
    }
    const { retry } = request.plan = planRetry(request, options);
    if (options.throw === false) return retry;
    throw retry;
  }

  send<T = unknown>(task: string | AnySignature<T>, options: SendOptions = {}): Promise<AsyncResult<T>> {
    const { env, scope } = this.#request;
    const sent = typeof task === "string"
      ? env.app.send(task, options, scope)
      : env.app.sendSignature(task.toJSON(), [], options, scope);
    return sent as Promise<AsyncResult<T>>;
  }
}

/** Lines begin as in Celery's task format: `tasks.add[id]: message`. */
function taskLog({ env, message, task }: Request): TaskLog {
  const start = label(task.name, message.id);
  const about = { taskId: message.id, taskName: task.name };
  const at = (level: LogLevel): TaskLog[LogLevel] => (text, fields) =>
    env.logger.log(level, `${start}: ${text}`, { ...fields, ...about });
  return {
    debug: at("debug"),
    info: at("info"),
    warning: at("warning"),
    error: at("error"),
    critical: at("critical"),
  };
}
