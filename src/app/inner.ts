/**
 * What the rooms above (worker, beat, CLI) may see of an app, behind one brand by which an app of any copy of the package is known.
 *
 * @module
 */
import type { Backend } from "../backend.ts";
import type { Broker } from "../broker.ts";
import { ConfigurationError } from "../errors.ts";
import type { Logger } from "../lib/logger.ts";
import type { Platform } from "../lib/port.ts";
import type { Hooks } from "./hooks.ts";
import type { QueuePlan } from "./route.ts";
import type { TaskRequest } from "../protocol/task.ts";
import type { WireSignature } from "../protocol/signature.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { SendOptions } from "../result/sender.ts";
import type { Running } from "./running.ts";
import type { Change } from "./resend.ts";
import type { TaskRules } from "./task-rules.ts";
import type { Settings } from "./settings.ts";
import type { Registry } from "./registry.ts";
import type { TaskOptions } from "./task.ts";

/** The brand: `app[APP]` is the {@link AppInner}, for which {@link innerOf} asks. A `Symbol.for`, so that two copies of the package can be told apart from no app at all. */
export const APP: unique symbol = Symbol.for("celeriac.app") as never;

/** This copy of the package: a worker and its app must be of one. */
export const COPY: unique symbol = Symbol("celeriac") as never;

/** A declared task, as the worker runs it. */
export interface TaskDefinition {
  readonly name: string;
  /** Undefined: the setting decides. */
  readonly ignoreResult: boolean | undefined;
  readonly acksLate: boolean | undefined;
  readonly trackStarted: boolean | undefined;
  readonly storeErrorsEvenIfIgnored: boolean | undefined;
  readonly rules: TaskRules;
  /** What the declaration says besides (`maxRetries`, `rateLimit`, …), checked. */
  readonly options: TaskOptions;
  /**
   * Binds the arguments as Python would and calls the task's function. Throws `TaskArgumentError` (name "TypeError") where they do not
   * fit; everything else thrown is the task's own.
   */
  invoke(running: Running, args: readonly unknown[], kwargs: Readonly<Record<string, unknown>>): unknown;
}

/** Who sends inside a running task; the value that travels in the async context. */
export interface SendScope {
  readonly app: AppInner;
  readonly taskId: string;
  readonly rootId: string;
  readonly priority: number;
  /** The scope notes each child that was sent, for the parent's `children`. */
  note(child: AsyncResult<unknown>): void;
}

/** The inside of an app. */
export interface AppInner {
  /** The package's version and copy: a worker refuses an app of another copy with a coded error. */
  readonly copy: symbol;
  readonly name: string;
  readonly settings: Settings;
  readonly platform: Platform;
  readonly logger: Logger;
  /** `json: "exact"`: values keep every distinction of the wire. */
  readonly exact: boolean;
  readonly tasks: ReadonlyMap<string, TaskDefinition>;
  /** Who hears of its work. */
  readonly hooks: Hooks;
  /** What it has in common with its forks. */
  readonly registry: Registry;
  /** The broker; throws `ConfigurationError` "broker-missing" where none was given. */
  broker(): Broker;
  /** The backend, or undefined where none was given (Celery: DisabledBackend). */
  backend(): Backend | undefined;
  /** Runs the `include` loaders, once. */
  ready(): Promise<void>;
  /** The queues that a worker consumes when none are named. */
  defaultQueues(): readonly string[];
  /** The queues that a worker consumes (Celery: `worker -Q … -X …`). */
  consumedQueues(select: readonly string[] | undefined, exclude: readonly string[]): readonly string[];
  queue(name: string): QueuePlan;
  /** The queue as a worker takes from it: of a broadcast, each time another one. */
  intake(name: string): QueuePlan;
  /** An instant (ms since the epoch) as ISO text in the app's time zone, as Celery writes `date_done`. */
  instant(ms: number): string;
  /** The result of a task by its id. */
  result(id: string): AsyncResult<unknown>;
  /** The road: the only way in for user, worker, beat, canvas and CLI alike. */
  send(name: string, options: SendOptions, scope?: SendScope): Promise<AsyncResult<unknown>>;
  /** Sends a signature as a peer wrote it, with leading arguments put before its own (`follow`: links, chain). */
  sendSignature(
    signature: WireSignature,
    leading: readonly unknown[],
    options: SendOptions,
    scope?: SendScope,
  ): Promise<AsyncResult<unknown>>;
  /** Sends a task that is running once more, for a retry. */
  resend(message: TaskRequest, change: Change, scope: SendScope): Promise<AsyncResult<unknown>>;
}

/**
 * The inside of an app, known by its brand. Throws `ConfigurationError` "app-invalid" for what is no app, and "two-copies" for an app of
 * another copy of the package: their tasks and contexts would not know each other.
 */
export function innerOf(app: unknown): AppInner {
  const inner = typeof app === "object" && app !== null ? (app as { [APP]?: AppInner })[APP] : undefined;
  if (inner === undefined) {
    throw new ConfigurationError("app-invalid", "This is not an app.", {
      hint: "Pass what `new Celery(…)` gave.",
    });
  }
  if (inner.copy === COPY) return inner;
  throw new ConfigurationError(
    "two-copies",
    "The app was made by another copy of celeriac than the one that uses it.",
    {
      hint: "Install the package once: npm ls celeriac shows where the copies are.",
    },
  );
}
