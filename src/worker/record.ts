/**
 * Results as the worker writes them: Celery's documents, field for field.
 *
 * @module
 */
import type { ResultRecord } from "../backend.ts";
import { encodeJson } from "../protocol/json-writer.ts";
import { encodeResult, READY_STATES, type ResultMeta } from "../protocol/result.ts";
import type { WireSignature } from "../protocol/signature.ts";
import type { Env } from "./env.ts";
import type { Request } from "./request.ts";

/** A state and what is stored with it. */
export interface State {
  readonly status: string;
  /** The value, or an exception in wire form. */
  readonly result: unknown;
  readonly traceback: string | null;
}

/** A state of the task itself. Throws `EncodeError` for a result without a JSON form. */
export function recordOf(request: Request, state: State): ResultRecord {
  const { env, message } = request;
  const more = env.settings.resultExtended ? extended(request) : undefined;
  return write(env, message.id, state, request.children, message.group, message.parentId, more);
}

/** The same state for a task that will never run, because one before it in the chain failed; undefined where it has no id. */
export function recordOfChained(
  request: Request,
  signature: WireSignature,
  state: State,
): ResultRecord | undefined {
  const { env } = request;
  const { options, task: name, args, kwargs } = signature;
  const id = text(options["task_id"]);
  if (id === null) return undefined;
  const more = env.settings.resultExtended
    ? { name, args, kwargs, worker: null, retries: 0, queue: null }
    : undefined;
  return write(env, id, state, [], text(options["group_id"]), text(options["parent_id"]), more);
}

/** A state of a task of which only the id is known. */
export function recordOfUnread(env: Env, taskId: string, state: State): ResultRecord {
  return write(env, taskId, state, [], null, null);
}

function write(
  env: Env,
  taskId: string,
  { status, result, traceback }: State,
  children: readonly unknown[],
  groupId: string | null,
  parentId: string | null,
  more?: Readonly<Record<string, unknown>>,
): ResultRecord {
  const dateDone = READY_STATES.has(status) ? env.instant() : null;
  let meta: ResultMeta = { status, result, traceback, children, dateDone, taskId };
  if (groupId !== null) meta = { ...meta, groupId };
  if (parentId !== null) meta = { ...meta, parentId };
  if (more !== undefined) meta = { ...meta, extended: more };
  return { taskId, status, text: textOf(meta) };
}

/** What a sender wrote may have no JSON form, such as a stamp: that is left out, for the state is worth more. Nothing else is forgiven. */
function textOf(meta: ResultMeta): string {
  try {
    return encodeResult(meta);
  } catch (error) {
    if (meta.extended === undefined) throw error;
    const extended = Object.entries(meta.extended).filter(([, value]) => hasForm(value));
    return encodeResult({ ...meta, extended: Object.fromEntries(extended) });
  }
}

function hasForm(value: unknown): boolean {
  try {
    encodeJson(value);
    return true;
  } catch {
    return false;
  }
}

/** `result_extended`; the queue is the routing key, as Celery has it. */
function extended({ env, message, task, delivery }: Request): Readonly<Record<string, unknown>> {
  const { args, kwargs } = message.exact();
  return {
    name: task.name,
    args,
    kwargs,
    worker: env.hostname,
    retries: message.retries,
    queue: delivery.route.routingKey,
    ...(message.stampedHeaders === null || message.stampedHeaders.length === 0
      ? {}
      : { stamped_headers: message.stampedHeaders, ...message.stamps }),
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
