/**
 * What `app.task`, `ref` and `tasksOf` give: a task's name bound to an app.
 *
 * @module
 */
import { Signature } from "../canvas/signature.ts";
import { ConfigurationError } from "../errors.ts";
import type { Task } from "../producer/task.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { CallOptions, Sender, SendOptions } from "../result/sender.ts";
import { type Call, checkOptions, NO_KWARGS, NO_OPTIONS } from "./compose.ts";
import type { AppCore } from "./core.ts";

type AnyResult = Promise<AsyncResult<never>>;

/** A {@link Task} whose types the door puts on. */
export class TaskHandle {
  readonly name: string;
  readonly #app: AppCore;
  readonly #sender: Sender;

  constructor(app: AppCore, name: string) {
    if (typeof name !== "string" || name === "") {
      throw new ConfigurationError("task-invalid", "A task needs a name.");
    }
    this.name = name;
    this.#app = app;
    this.#sender = senderOf(app);
  }

  delay(...args: readonly unknown[]): AnyResult {
    return this.#app.call(this.#call(args, NO_OPTIONS)) as AnyResult;
  }

  applyAsync(args: readonly unknown[] = [], options: CallOptions = NO_OPTIONS): AnyResult {
    try {
      return this.#app.call(this.#call(args, options)) as AnyResult;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  s(...args: readonly unknown[]): Signature<never, never> {
    return this.#signature(args, NO_OPTIONS, false);
  }

  si(...args: readonly unknown[]): Signature<never, never> {
    return this.#signature(args, NO_OPTIONS, true);
  }

  signature(args: readonly unknown[] = [], options: CallOptions = NO_OPTIONS): Signature<never, never> {
    return this.#signature(args, options, false);
  }

  #signature(args: readonly unknown[], options: CallOptions, immutable: boolean): Signature<never, never> {
    const { args: given, kwargs, options: rest } = this.#call(args, options);
    const { kwargs: _kwargs, ...own } = rest;
    return new Signature(this.#sender, { task: this.name, args: given, kwargs, options: own, immutable });
  }

  /** An `input` task whose names are declared gets the fields of its one object by name: a peer in Python sees keyword arguments. */
  #call(args: readonly unknown[], options: CallOptions): Call {
    if (options !== NO_OPTIONS) checkOptions(options);
    const [input] = args;
    if (args.length === 1 && isObject(input) && this.#app.tasks.get(this.name)?.spreads === true) {
      return { name: this.name, args: [], kwargs: { ...input, ...options.kwargs }, options };
    }
    return { name: this.name, args, kwargs: options.kwargs ?? NO_KWARGS, options };
  }
}

/** A handle with its types. */
export function taskHandle<T extends Task>(app: AppCore, name: string): T {
  return new TaskHandle(app, name) as unknown as T;
}

/** What signatures send with. */
export function senderOf(app: AppCore): Sender {
  return {
    send: (name, options) => app.call(signatureCall(name, options)),
    newId: () => app.newId(),
  };
}

/** The merged options of a signature, as a call. */
export function signatureCall(name: string, options: SendOptions): Call {
  checkOptions(options);
  return { name, args: options.args ?? [], kwargs: options.kwargs ?? NO_KWARGS, options };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
