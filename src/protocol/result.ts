/**
 * Results: the states of a task and the document that stores one (Celery: `_get_result_meta`).
 *
 * @module
 */
import { DecodeError } from "../errors.ts";
import { decodeJson, type DecodeOptions } from "./json.ts";
import { encodeJson } from "./json-writer.ts";
import { isRecord, lenientText, own } from "./fields.ts";

/** States that do not change any more. */
export const READY_STATES: ReadonlySet<string> = new Set(["SUCCESS", "FAILURE", "REVOKED"]);

/** One stored state of a task. */
export interface ResultMeta {
  readonly status: string;
  /** The value, the exception in wire form, or what the task says of itself. */
  readonly result: unknown;
  readonly traceback: string | null;
  /** Result tuples of the tasks that this one sent, `[[id, parent | null], null]`; null where nobody counted. */
  readonly children: readonly unknown[] | null;
  /** ISO 8601; null until the state is final. Celery 5.2 writes it without an offset, which means UTC. */
  readonly dateDone: string | null;
  readonly taskId: string;
  readonly groupId?: string;
  readonly parentId?: string;
  /** What `result_extended` adds (name, args, kwargs, worker, retries, queue, stamps): goes out as it is, before `task_id`. */
  readonly extended?: Readonly<Record<string, unknown>>;
}

/** The JSON text of a result, its keys in Celery's order: peers compare chord parts as text. */
export function encodeResult(meta: ResultMeta): string {
  let out = `{"status": ${encodeJson(meta.status)}, "result": ${encodeJson(meta.result)}`;
  out += `, "traceback": ${encodeJson(meta.traceback)}, "children": ${encodeJson(meta.children)}`;
  out += `, "date_done": ${encodeJson(meta.dateDone)}`;
  if (meta.groupId !== undefined) out += `, "group_id": ${encodeJson(meta.groupId)}`;
  if (meta.parentId !== undefined) out += `, "parent_id": ${encodeJson(meta.parentId)}`;
  for (const [key, value] of Object.entries(meta.extended ?? {})) {
    if (!OWN.includes(key) && value !== undefined) out += `, ${encodeJson(key)}: ${encodeJson(value)}`;
  }
  return `${out}, "task_id": ${encodeJson(meta.taskId)}}`;
}

const OWN: readonly string[] = "status result traceback children date_done group_id parent_id task_id".split(
  " ",
);

/**
 * Reads a stored result. Old and foreign writers may leave out all but `status` and `result`; unknown keys are kept in `extended`.
 *
 * @throws {DecodeError} `decode-result` where it is no result, else as `decodeJson`.
 */
export function decodeResult(text: string, options: DecodeOptions = {}): ResultMeta {
  const record = decodeJson(text, options);
  if (!isRecord(record)) throw new DecodeError("decode-result", "A stored result is no JSON object.");
  const status = own(record, "status");
  if (typeof status !== "string") throw new DecodeError("decode-result", "A stored result has no status.");
  const groupId = lenientText(record, "group_id");
  const parentId = lenientText(record, "parent_id");
  const children = own(record, "children");
  const extended = Object.entries(record).filter(([key]) => !OWN.includes(key));
  return {
    status,
    result: own(record, "result") ?? null,
    traceback: lenientText(record, "traceback"),
    children: Array.isArray(children) ? children : null,
    dateDone: lenientText(record, "date_done"),
    taskId: lenientText(record, "task_id") ?? "",
    ...(groupId === null ? {} : { groupId }),
    ...(parentId === null ? {} : { parentId }),
    ...(extended.length === 0 ? {} : { extended: Object.fromEntries(extended) }),
  };
}

/**
 * The status in a stored result, without reading the rest where its writer keeps Celery's order.
 *
 * @throws {DecodeError} as {@link decodeResult}.
 */
export function resultStatus(text: string): string {
  return /^\{"status": "([A-Za-z_-]{1,64})"[,}]/.exec(text)?.[1] ?? decodeResult(text).status;
}
