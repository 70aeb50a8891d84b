/**
 * Lays arguments on parameters as Python does, and says what is wrong in Python's sentences.
 *
 * @module
 */
import { ConfigurationError, TaskArgumentError } from "../errors.ts";

/** The parameters of a task, as `params` declares them. */
export interface Parameters {
  /** Names from the left, without the rest. */
  readonly names: readonly string[];
  /** How many of them must be there; the others may be absent. */
  readonly required: number;
  /** Whether a last `"*rest"` takes the surplus. */
  readonly rest: boolean;
}

const NAME = /^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u;

/**
 * Reads `["x", "y?", "*rest"]`. Throws `ConfigurationError` "params-invalid": not a name, one name twice, one that must be there after
 * one that may be absent, something after the rest.
 */
export function parseParams(task: string, params: readonly string[]): Parameters {
  const names: string[] = [];
  let required = 0;
  let rest = false;
  for (const text of params) {
    const refuse = (reason: string): ConfigurationError =>
      new ConfigurationError(
        "params-invalid",
        `The params of task ${task}: ${JSON.stringify(text)} ${reason}.`,
        {
          hint: 'Write them as ["x", "y?", "*rest"].',
        },
      );
    if (typeof text !== "string") throw refuse("is not a text");
    const optional = text.endsWith("?");
    const name = text.replace(/^\*|\?$/g, "");
    if (!NAME.test(name)) throw refuse("is not a name");
    if (rest) throw refuse("comes after the rest");
    if (names.includes(name)) throw refuse("is there twice");
    if (text.startsWith("*")) {
      if (optional) throw refuse("is a rest, which may always be absent");
      rest = true;
      continue;
    }
    if (optional) names.push(name);
    else if (required < names.length) throw refuse("must be there, but follows one that may be absent");
    else required = names.push(name);
  }
  return { names, required, rest };
}

/**
 * The arguments in the order of the parameters; an absent one is undefined, and trailing absent ones are left out. Throws
 * `TaskArgumentError` "task-arguments" in the order in which CPython finds the fault: keywords, surplus, missing.
 */
export function bind(
  task: string,
  { names, required, rest }: Parameters,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
): readonly unknown[] {
  const keys = Object.keys(kwargs);
  if (keys.length === 0 && args.length >= required && (rest || args.length <= names.length)) return args;
  const bound: unknown[] = args.slice(0, names.length);
  const given = new Set<number>();
  for (const key of keys) {
    const at = names.indexOf(key);
    if (at < 0) throw fault(task, `got an unexpected keyword argument '${key}'`);
    if (at < args.length) throw fault(task, `got multiple values for argument '${key}'`);
    given.add(at);
  }
  // A rest's surplus went the short way above: beside it every keyword is unknown or doubled.
  if (args.length > names.length) throw fault(task, surplus(names.length, required, args.length));
  const missing = names.slice(0, required).filter((_name, at) => at >= args.length && !given.has(at));
  if (missing.length > 0) throw fault(task, lacking(missing));
  for (const at of [...given].sort((a, b) => a - b)) bound[at] = kwargs[names[at] as string];
  for (let at = 0; at < bound.length; at++) if (!(at in bound)) bound[at] = undefined;
  return bound;
}

/** The bound arguments by name, for tasks that take one object; the rest has no name and is refused by `parseParams`' caller. */
export function named({ names }: Parameters, bound: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  names.forEach((name, at) => {
    if (at < bound.length && bound[at] !== undefined) define(object, name, bound[at]);
  });
  return object;
}

/** Sets an own field, also one called `__proto__`. */
export function define(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

function fault(task: string, sentence: string): TaskArgumentError {
  return new TaskArgumentError("task-arguments", `${task}() ${sentence}`);
}

function surplus(most: number, required: number, given: number): string {
  const span = required === most ? `${most}` : `from ${required} to ${most}`;
  const were = given === 1 ? "was" : "were";
  return `takes ${span} positional argument${
    most === 1 && required === most ? "" : "s"
  } but ${given} ${were} given`;
}

function lacking(names: readonly string[]): string {
  const quoted = names.map((name) => `'${name}'`);
  const last = quoted.pop() as string;
  const list = quoted.length === 0
    ? last
    : quoted.length === 1
    ? `${quoted[0]} and ${last}`
    : `${quoted.join(", ")}, and ${last}`;
  return `missing ${names.length} required positional argument${names.length === 1 ? "" : "s"}: ${list}`;
}
