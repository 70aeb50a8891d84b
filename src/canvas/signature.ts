/**
 * A call that is not made yet: a task's name, arguments and options, to be sent later, linked, or passed on inside another message.
 *
 * @module
 */
import type { WireSignature } from "../protocol/signature.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { Sender, SendOptions } from "../result/sender.ts";
import { optionsToWire } from "./options.ts";

/** A signature whatever it still needs; `R` is its result. */
export type AnySignature<R = unknown> = Signature<never, R>;

/** What a {@link Signature} is made of. */
export interface SignatureParts {
  /** The task's name. */
  readonly task: string;
  /** Arguments by position. */
  readonly args: readonly unknown[];
  /** Arguments by name. */
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Its options, without `args` and `kwargs`. */
  readonly options: SendOptions;
  /** Whether it takes nothing from what precedes it (`si`). */
  readonly immutable: boolean;
}

/**
 * A call that is not made yet (Celery: `Signature`). It is never changed: `set` and `freeze` give a new one. `Need` are the leading
 * arguments that are still to come, `R` is the result.
 */
export class Signature<in Need extends readonly unknown[], out R> implements SignatureParts {
  /** The task's name. */
  readonly task: string;
  /** Arguments by position. */
  readonly args: readonly unknown[];
  /** Arguments by name. */
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Its options, without `args` and `kwargs`. */
  readonly options: SendOptions;
  /** Whether it takes nothing from what precedes it (`si`). */
  readonly immutable: boolean;
  readonly #sender: Sender;

  /** Made by `task.s()`, `task.si()`, `task.signature()` and `app.signature()`. */
  constructor(sender: Sender, parts: SignatureParts) {
    this.#sender = sender;
    this.task = parts.task;
    this.args = parts.args;
    this.kwargs = parts.kwargs;
    this.options = parts.options;
    this.immutable = parts.immutable;
  }

  /** The same call with these options over its own. */
  set(options: SendOptions): Signature<Need, R> {
    const { args: _args, kwargs, ...rest } = options;
    return this.#copy({
      options: { ...this.options, ...rest },
      kwargs: kwargs === undefined ? this.kwargs : { ...this.kwargs, ...kwargs },
    });
  }

  /** The same call with its id fixed, so that its result can be asked for before it is sent. */
  freeze(taskId: string = this.options.taskId ?? this.#sender.newId()): Signature<Need, R> {
    return this.#copy({ options: { ...this.options, taskId } });
  }

  /** Sends it with the arguments it still needs put first; resolves once the broker confirmed. */
  delay(...args: Need): Promise<AsyncResult<R>> {
    return this.#apply(args, {});
  }

  /**
   * Sends it with options over its own; `args` are put before its own arguments. Resolves once the broker confirmed, and throws as
   * `Celery.sendTask` does.
   */
  applyAsync(this: Signature<[], R>, args?: readonly [], options?: SendOptions): Promise<AsyncResult<R>>;
  /** As above, with the arguments that it still needs. */
  applyAsync(args: Need, options?: SendOptions): Promise<AsyncResult<R>>;
  applyAsync(args: readonly unknown[] = [], options: SendOptions = {}): Promise<AsyncResult<R>> {
    return this.#apply(args, options);
  }

  /** The form in which signatures travel inside messages. */
  toJSON(): WireSignature {
    return {
      task: this.task,
      args: this.args,
      kwargs: this.kwargs,
      options: optionsToWire(this.options),
      subtask_type: null,
      immutable: this.immutable,
    };
  }

  #copy(changes: Partial<SignatureParts>): Signature<Need, R> {
    return new Signature<Need, R>(this.#sender, {
      task: this.task,
      args: this.args,
      kwargs: this.kwargs,
      options: this.options,
      immutable: this.immutable,
      ...changes,
    });
  }

  #apply(leading: readonly unknown[], options: SendOptions): Promise<AsyncResult<R>> {
    return this.#sender.send(this.task, merged(this, leading, options)) as Promise<AsyncResult<R>>;
  }
}

/** Celery's rules of merging: leading arguments go first, an immutable signature takes none, options of the call win. */
export function merged(
  parts: SignatureParts,
  leading: readonly unknown[],
  options: SendOptions,
): SendOptions {
  const args = parts.immutable || leading.length === 0 ? parts.args : [...leading, ...parts.args];
  const kwargs = parts.immutable || options.kwargs === undefined
    ? parts.kwargs
    : { ...parts.kwargs, ...options.kwargs };
  return { ...parts.options, ...options, args, kwargs };
}
