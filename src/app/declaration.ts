/**
 * What `app.task` declared: how the function is called, and what the task says of itself.
 *
 * @module
 */
import { ConfigurationError, TaskArgumentError, TaskInputError } from "../errors.ts";
import { didYouMean } from "../lib/suggest.ts";
import type { TaskFunction } from "../producer/task.ts";
import type { CallOptions } from "../result/sender.ts";
import { bind, named, type Parameters, parseParams } from "./binding.ts";
import type { TaskDefinition } from "./inner.ts";
import { readRules, type TaskRules } from "./task-rules.ts";
import type { Running } from "./running.ts";
import type { StandardSchemaIssue, StandardSchemaV1 } from "./standard-schema.ts";
import type { TaskOptions } from "./task.ts";

/** Options that go out with each message, as call options. */
const SENT = [
  "queue",
  "exchange",
  "routingKey",
  "priority",
  "serializer",
  "compression",
  "expires",
  "ignoreResult",
  "timeLimit",
  "softTimeLimit",
] as const;

const NAMES: ReadonlySet<string> = new Set([
  ...SENT,
  "acksLate",
  "acksOnFailure",
  "acksOnFailureOrTimeout",
  "acksOnTimeout",
  "autoretryFor",
  "bind",
  "defaultRetryDelay",
  "dontAutoretryFor",
  "input",
  "maxDeliveries",
  "maxRetries",
  "params",
  "rateLimit",
  "rejectOnWorkerLost",
  "retryBackoff",
  "retryBackoffMax",
  "retryJitter",
  "retryKwargs",
  "storeErrorsEvenIfIgnored",
  "throws",
  "trackStarted",
]);

/** What a worker of ours does not act on yet: said once for each task, never silently. */
const IDLE = ["rateLimit", "rejectOnWorkerLost"] as const;

/** The options of `app.task` in all three forms. */
export type AnyTaskOptions = TaskOptions & {
  readonly bind?: boolean | undefined;
  readonly params?: readonly string[] | undefined;
  readonly input?: StandardSchemaV1 | undefined;
};

type Call = (...args: readonly unknown[]) => unknown;

/** A declared task. */
export class Declaration implements TaskDefinition {
  readonly name: string;
  readonly options: AnyTaskOptions;
  readonly ignoreResult: boolean | undefined;
  readonly acksLate: boolean | undefined;
  readonly trackStarted: boolean | undefined;
  readonly storeErrorsEvenIfIgnored: boolean | undefined;
  readonly rules: TaskRules;
  /** What each message of the task says unless its call says otherwise; undefined where the declaration says nothing. */
  readonly defaults: CallOptions | undefined;
  readonly #function: Call;
  readonly #parameters: Parameters | undefined;

  /** Throws `ConfigurationError` "task-invalid", "option-unknown", "params-invalid". */
  constructor(name: string, options: AnyTaskOptions, fn: TaskFunction) {
    checkDeclaration(name, options, fn);
    this.name = name;
    this.options = options;
    this.ignoreResult = options.ignoreResult;
    this.acksLate = options.acksLate;
    this.trackStarted = options.trackStarted;
    this.storeErrorsEvenIfIgnored = options.storeErrorsEvenIfIgnored;
    this.rules = readRules(name, options);
    this.defaults = sentOptions(options);
    this.#function = fn as unknown as Call;
    this.#parameters = options.params === undefined ? undefined : parseParams(name, options.params);
    if (options.input !== undefined && this.#parameters?.rest === true) {
      throw new ConfigurationError(
        "params-invalid",
        `The params of task ${name}: a rest has no name in the input object.`,
      );
    }
  }

  invoke(running: Running, args: readonly unknown[], kwargs: Readonly<Record<string, unknown>>): unknown {
    const { input } = this.options;
    if (input !== undefined) return this.#withInput(input, running, this.#object(args, kwargs));
    const bound = this.#bind(args, kwargs);
    return this.options.bind === true ? this.#function(running, ...bound) : this.#function(...bound);
  }

  /** Throws where arguments cannot fit, as far as the declaration can tell (Celery: `typing`). */
  check(args: readonly unknown[], kwargs: Readonly<Record<string, unknown>>): void {
    if (this.#parameters !== undefined || this.options.input === undefined) this.#bind(args, kwargs);
  }

  /** The options that it sets and that change nothing in a worker of ours. */
  get idle(): readonly string[] {
    return IDLE.filter((name) => this.options[name] !== undefined);
  }

  /** Whether a call with one object sends its fields by name: the input's names are then declared. */
  get spreads(): boolean {
    return this.options.input !== undefined && this.#parameters !== undefined;
  }

  #bind(args: readonly unknown[], kwargs: Readonly<Record<string, unknown>>): readonly unknown[] {
    if (this.#parameters !== undefined) return bind(this.name, this.#parameters, args, kwargs);
    const keys = Object.keys(kwargs);
    if (keys.length === 0) return args;
    throw new TaskArgumentError(
      "task-kwargs-unnamed",
      `${this.name}() got keyword arguments (${
        keys.slice(0, 8).join(", ")
      }), but its parameters have no names here.`,
      {
        hint: `Declare them: app.task(${JSON.stringify(this.name)}, { params: [${
          keys.slice(0, 8).map((key) => JSON.stringify(key)).join(", ")
        }] }, …).`,
      },
    );
  }

  /** The object of an `input` task. */
  #object(args: readonly unknown[], kwargs: Readonly<Record<string, unknown>>): unknown {
    if (this.#parameters !== undefined) {
      return named(this.#parameters, bind(this.name, this.#parameters, args, kwargs));
    }
    if (args.length === 0) return kwargs;
    if (args.length === 1 && Object.keys(kwargs).length === 0) return args[0];
    throw new TaskArgumentError(
      "task-arguments",
      args.length === 1
        ? `${this.name}() takes one object or keyword arguments, but both were given`
        : `${this.name}() takes 1 positional argument but ${args.length} were given`,
    );
  }

  #withInput(schema: StandardSchemaV1, running: Running, object: unknown): unknown {
    const checked = schema["~standard"].validate(object);
    const call = (result: Awaited<typeof checked>): unknown => {
      if (result.issues === undefined) return this.#function(result.value, running);
      throw new TaskInputError(
        `${this.name}() refused its input: ${result.issues.map(issueText).join("; ")}`,
      );
    };
    return checked instanceof Promise ? checked.then(call) : call(checked);
  }
}

function checkDeclaration(name: string, options: AnyTaskOptions, fn: TaskFunction): void {
  if (typeof name !== "string" || name === "") {
    throw new ConfigurationError("task-invalid", "A task needs a name.", {
      hint: 'app.task("tasks.add", …)',
    });
  }
  if (typeof fn !== "function") throw new ConfigurationError("task-invalid", `Task ${name} has no function.`);
  for (const [key, value] of Object.entries(options)) {
    if (!NAMES.has(key)) {
      const hint = didYouMean(key, NAMES);
      throw new ConfigurationError(
        "option-unknown",
        `Task ${name} has no option ${JSON.stringify(key)}.`,
        hint === undefined ? {} : { hint },
      );
    }
    if (key === "rateLimit" && value !== undefined && !/^\d+(\.\d+)?\/[smh]$/.test(String(value))) {
      throw new ConfigurationError("setting-invalid", `The rateLimit of task ${name} must be like "10/m".`);
    }
  }
  const { bind: bound, input } = options;
  if (bound === true && input !== undefined) {
    throw new ConfigurationError("task-invalid", `Task ${name} has both bind and input.`, {
      hint: "The function of an input task gets the running task second: (input, task) => …",
    });
  }
  if (input !== undefined && typeof input?.["~standard"]?.validate !== "function") {
    throw new ConfigurationError("task-invalid", `The input of task ${name} is no Standard Schema.`);
  }
}

function sentOptions(options: AnyTaskOptions): CallOptions | undefined {
  const sent: Record<string, unknown> = {};
  for (const name of SENT) if (options[name] !== undefined) sent[name] = options[name];
  return Object.keys(sent).length === 0 ? undefined : sent;
}

function issueText({ message, path }: StandardSchemaIssue): string {
  const where = path?.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  return where === undefined || where === "" ? message : `${where}: ${message}`;
}
