/**
 * Every error class of the house: each carries a stable `code`, its `cause` where there is one, and a `hint` that says what to do.
 *
 * @module
 */

/** How an error of ours is made: what caused it and what the reader can do about it. */
export interface ErrorDetails {
  /** The error underneath, kept as `cause`. */
  readonly cause?: unknown;
  /** One sentence on what to do; appended to the message. */
  readonly hint?: string | undefined;
}

/**
 * The base of every error that celeriac throws. `code` is stable between releases, message texts are not.
 */
export class CeleriacError extends Error {
  /** The name of the class, written out: a minifier renames classes. A subclass says its own. */
  override name = "CeleriacError";

  // What the constructor sets is only declared: a field that is defined first is code in every bundle.
  /** A stable kebab-case word for `switch`. */
  declare readonly code: string;
  /** What to do about it, in one sentence. */
  declare readonly hint: string | undefined;

  /** `code` and a sentence; `details.hint` is put behind it. */
  constructor(code: string, message: string, details?: ErrorDetails) {
    const hint = details?.hint;
    super(hint === undefined ? message : `${message} ${hint}`, details);
    this.code = code;
    this.hint = hint;
  }
}

/** The program is set up wrongly: unknown option, no broker, bad URL, two tasks of one name (Celery: ImproperlyConfigured). */
export class ConfigurationError extends CeleriacError {
  /** The name of the class. */
  override name = "ConfigurationError";
}

/** What of a queue or exchange differs from what we declare. */
export interface TopologyMismatch {
  /** Which of the two it is. */
  readonly kind: "queue" | "exchange";
  /** Its name. */
  readonly name: string;
  /** What differs: "x-max-priority", "durable", "type", … */
  readonly argument: string;
  /** What the server has; undefined where it has none. */
  readonly have: string | undefined;
  /** What we declare; undefined where we say nothing of it. */
  readonly want: string | undefined;
}

/** A queue or exchange exists with other properties, and the broker said which (406). `code` is `topology-mismatch`. */
export class TopologyMismatchError extends ConfigurationError {
  /** The name of the class. */
  override name = "TopologyMismatchError";

  /** Which of the two it is. */
  declare readonly kind: "queue" | "exchange";
  /** Its name. */
  declare readonly entity: string;
  /** What differs. */
  declare readonly argument: string;
  /** What the server has; undefined where it has none. */
  declare readonly have: string | undefined;
  /** What we declare; undefined where we say nothing of it. */
  declare readonly want: string | undefined;

  /** `message` holds the broker's own words. */
  constructor(message: string, { kind, name, argument, have, want }: TopologyMismatch) {
    super("topology-mismatch", message, {
      hint:
        `The server has ${argument} ${have ?? "unset"}, this program declares ${
          want ?? "none"
        }. It cannot be changed in place: ` +
        `declare the ${kind} alike in every program, or delete it and what is in it.`,
    });
    this.kind = kind;
    this.entity = name;
    this.argument = argument;
    this.have = have;
    this.want = want;
  }
}

/** A server could not be reached, refused us, or went away (Celery: OperationalError). */
export class ConnectionError extends CeleriacError {
  /** The name of the class. */
  override name = "ConnectionError";
}

/**
 * A message was not confirmed. `code` is `publish-unroutable`, `publish-refused` or `publish-unknown`; after `publish-unknown` the
 * message may or may not be in the broker, so that a repeat may double it. `cause` is the broker's verdict (`Verdict`): where it was refused,
 * `retry` says whether a repeat may help.
 */
export class PublishError extends CeleriacError {
  /** The name of the class. */
  override name = "PublishError";
}

/** Something cannot be written to the wire: a value without a JSON form, a message over the limit (kombu: EncodeError). */
export class EncodeError extends CeleriacError {
  /** The name of the class. */
  override name = "EncodeError";
}

/** Bytes from the wire cannot be read: broken JSON, bad compression, over a limit (kombu: DecodeError). */
export class DecodeError extends CeleriacError {
  /** The name of the class. */
  override name = "DecodeError";
}

/** The content type is not on the allow-list `acceptContent` (kombu: ContentDisallowed). */
export class ContentDisallowedError extends CeleriacError {
  /** The name of the class. */
  override name = "ContentDisallowedError";
}

/** A message is no task message, or one whose fields make no sense (Celery: InvalidTaskError). */
export class InvalidTaskError extends CeleriacError {
  /** The name of the class. */
  override name = "InvalidTaskError";
}

/** A wait ended by its deadline; the work itself may still go on (Celery: TimeoutError). */
export class TimeoutError extends CeleriacError {
  /** The name of the class. */
  override name = "TimeoutError";
}

/**
 * Arguments do not fit the task's parameters; the sentence is Python's. Its name is "TypeError", so that a Python caller meets the
 * exception it would have met. `code` is `task-arguments`, `task-kwargs-unnamed` or `argument-undefined`.
 */
export class TaskArgumentError extends CeleriacError {
  /** What Python calls it. */
  override name = "TypeError";
}

/** The input of a task was refused by its schema, code `task-input`. Its name is "ValueError", which Python knows. */
export class TaskInputError extends CeleriacError {
  /** What Python calls it. */
  override name = "ValueError";

  /** `message` lists what is wrong. */
  constructor(message: string, details: ErrorDetails = {}) {
    super("task-input", message, details);
  }
}

/** Why `task.signal` is aborted: the task was revoked with `terminate`. `code` is `task-revoked`. */
export class TaskRevokedError extends CeleriacError {
  /** What Celery calls it. */
  override name = "TaskRevokedError";

  /** `taskId` was revoked, with this signal's name where one was given. */
  constructor(taskId: string, signal: string) {
    super("task-revoked", `Task ${taskId} was revoked, and is to end (${signal}).`);
  }
}

/** Why `task.signal` is aborted: the worker shuts down and waits no longer. `code` is `worker-shutdown`. */
export class WorkerShutdownError extends CeleriacError {
  /** The name of the class. */
  override name = "WorkerShutdownError";

  /** The sentence is always the same. */
  constructor() {
    super("worker-shutdown", "The worker shuts down and waits no longer for its tasks.");
  }
}

/** What a peer stored of an exception: never more than names and values, no class is looked up. */
export interface RemoteErrorDetails {
  /** The class's name, "ValueError". */
  readonly excType: string;
  /** The exception's arguments. */
  readonly excMessage: readonly unknown[];
  /** The module of the class, "builtins"; "celeriac" for errors of JavaScript that Python has no class for. */
  readonly excModule: string;
  /** The traceback as text, where the worker stored one. */
  readonly traceback?: string | undefined;
}

/** A task failed somewhere: what `AsyncResult.get()` throws. `code` is `task-failed` or `task-revoked`. */
export class RemoteTaskError extends CeleriacError implements RemoteErrorDetails {
  /** The name of the class. */
  override name = "RemoteTaskError";

  /** The task that failed. */
  readonly taskId: string;
  /** The class's name. */
  readonly excType: string;
  /** The exception's arguments. */
  readonly excMessage: readonly unknown[];
  /** The module of the class. */
  readonly excModule: string;
  /** The traceback as text, where the worker stored one. */
  readonly traceback: string | undefined;

  /** Made from what was stored. */
  constructor(code: "task-failed" | "task-revoked", taskId: string, exception: RemoteErrorDetails) {
    super(code, sentence(exception));
    this.taskId = taskId;
    this.excType = exception.excType;
    this.excMessage = exception.excMessage;
    this.excModule = exception.excModule;
    this.traceback = exception.traceback;
  }
}

/** As Python prints an exception: `ValueError: boom`, `KeyError: ('a', 1)` with more than one argument. */
function sentence({ excType, excMessage }: RemoteErrorDetails): string {
  if (excMessage.length === 0) return excType;
  const texts = excMessage.map((part) =>
    typeof part === "string" && excMessage.length === 1 ? part : written(part)
  );
  return `${excType}: ${texts.length === 1 ? texts[0] : `(${texts.join(", ")})`}`;
}

function written(value: unknown): string {
  try {
    return JSON.stringify(
      value,
      (_key, part: unknown) => typeof part === "bigint" ? part.toString() : part,
    ) ?? String(value);
  } catch {
    return "…";
  }
}
