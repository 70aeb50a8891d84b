/**
 * The names of Celery's keys in Redis, and of our own.
 *
 * @module
 */

/** Celery's prefix of result keys; the pub/sub channel of a result has the same name as its key. */
const RESULT_PREFIX = "celery-task-meta-";

/** The prefix of facts, which no peer reads. */
const FACT_PREFIX = "celeriac:fact:";

/** Names keys as an app with this `global_keyprefix` does. */
export interface Keys {
  /** The key and channel of a task's result. */
  result(taskId: string): string;
  /** The task's id in the name of its channel; undefined for a foreign channel. */
  taskId(channel: string): string | undefined;
  fact(name: string): string;
}

/** The key names under Celery's `global_keyprefix`: "_" is put between unless the prefix ends in one of `:_-.`, as Celery does. */
export function keysUnder(globalKeyprefix = ""): Keys {
  const prefix = globalKeyprefix === "" || /[:_.-]$/.test(globalKeyprefix)
    ? globalKeyprefix
    : `${globalKeyprefix}_`;
  const results = prefix + RESULT_PREFIX;
  const facts = prefix + FACT_PREFIX;
  return {
    result: (taskId) => results + taskId,
    taskId: (channel) => channel.startsWith(results) ? channel.slice(results.length) : undefined,
    fact: (name) => facts + name,
  };
}
