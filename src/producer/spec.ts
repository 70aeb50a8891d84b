/**
 * From a call to what a task message says: Celery's `apply_async` and `send_task` (celery/app/task.py, base.py, amqp.py).
 *
 * @module
 */
import { TaskArgumentError } from "../errors.ts";
import { toMs } from "../lib/duration.ts";
import { defined } from "../lib/options.ts";
import type { TaskSpec } from "../protocol/task-spec.ts";
import type { CallOptions } from "../result/sender.ts";

/** What the sender knows besides the call. */
export interface Sending extends Omit<TaskSpec, "args" | "eta" | "expires" | "kwargs" | "task"> {
  /** ms since the epoch. */
  readonly now: number;
}

/** The spec of the message. Options that the protocol reads as they stand, such as `shadow`, are taken over with the rest. */
export function specOf(
  task: string,
  args: readonly unknown[] | undefined,
  kwargs: Readonly<Record<string, unknown>> | undefined,
  options: CallOptions,
  sending: Sending,
): TaskSpec {
  const given: CallOptions = defined(options);
  const { now, priority } = sending;
  const time = (name: "countdown" | "softTimeLimit" | "timeLimit"): number | undefined => {
    const value = given[name];
    return value === undefined ? value : toMs(value, name);
  };
  const instant = (value: unknown): number | string | undefined =>
    value instanceof Date ? value.getTime() : value as string | undefined;
  // `countdown` wins over `eta`, and 0 is none, both as in Celery.
  const wait = time("countdown");
  const { eta, expires } = given;
  return {
    ...sending,
    ...given,
    task,
    args: definedArgs(task, args),
    kwargs: kwargs && defined(kwargs),
    eta: wait ? now + wait : instant(eta),
    expires: expires === undefined || expires instanceof Date
      ? instant(expires)
      : now + toMs(expires, "expires"),
    timeLimit: time("timeLimit"),
    softTimeLimit: time("softTimeLimit"),
    priority,
  };
}

/** Arguments without what JavaScript leaves undefined at their end. Throws `TaskArgumentError` "argument-undefined" elsewhere. */
function definedArgs(
  task: string,
  args: readonly unknown[] | undefined,
): readonly unknown[] | undefined {
  // The protocol refuses what is no array.
  if (!Array.isArray(args) || !args.includes(undefined)) return args;
  const given = args.slice(0, args.findLastIndex((each) => each !== undefined) + 1);
  const gap = given.findIndex((each) => each === undefined) + 1;
  if (gap === 0) return given;
  throw new TaskArgumentError("argument-undefined", `Argument ${gap} of ${task}() is undefined.`);
}

/** What every sender understands; `args` is one of `sendTask`'s. */
export const CALL_OPTIONS: readonly string[] =
  ("args kwargs taskId countdown eta expires queue priority headers shadow argsrepr kwargsrepr timeLimit softTimeLimit ignoreResult " +
    "replyTo rootId parentId retry timeout signal").split(" ");
