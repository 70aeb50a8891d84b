/**
 * Writes task messages of protocol 2 as JSON, and refuses what would stop a Python worker. For senders whose size counts; `task-writer.ts`
 * adds what not each of them can say.
 *
 * @module
 */
import { InvalidTaskError } from "../errors.ts";
import { isRecord } from "./fields.ts";
import { instantText } from "./instant.ts";
import { writeJson } from "./json-writer.ts";
import { MAX_DEPTH } from "./limits.ts";
import type { Message } from "./message.ts";
import { isDeathHeader, isTaken } from "./task-headers.ts";
import type { TaskSpec } from "./task-spec.ts";
import { encoder } from "./utf8.ts";

/** What stands around a body. */
export interface PlainParts {
  readonly headers: Record<string, unknown>;
  readonly properties: Record<string, unknown>;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
}

/**
 * The headers and properties of a task message, in Celery's order and with every field that Python writes; instants are numbers. What a plain
 * sender cannot say stands as Celery writes it where nothing is said; `argsrepr` and `kwargsrepr` are null where the spec has none.
 *
 * @throws {InvalidTaskError} `task-invalid`: a field that no Python worker could read; some would end its process.
 */
export function buildPlain(spec: TaskSpec): PlainParts {
  const { args = [], kwargs = {}, now } = spec;
  const id = shortText(spec, "id");
  if (!Array.isArray(args)) invalid("args");
  if (!isRecord(kwargs)) invalid("kwargs");
  const headers: Record<string, unknown> = {
    // Python workers never read it; it tells people who wrote the message.
    lang: "js",
    task: text(spec, "task") || invalid("task"),
    id,
    shadow: text(spec, "shadow"),
    eta: instant(spec, "eta"),
    expires: instant(spec, "expires"),
    group: null,
    group_index: null,
    retries: 0,
    timelimit: [spec.timeLimit, spec.softTimeLimit].map((ms) => (ms && ms / 1000) ?? null),
    root_id: text(spec, "rootId") ?? id,
    parent_id: text(spec, "parentId"),
    argsrepr: text(spec, "argsrepr"),
    kwargsrepr: text(spec, "kwargsrepr"),
    origin: spec.origin,
    ignore_result: spec.ignoreResult ?? null,
    replaced_task_nesting: 0,
    stamped_headers: null,
    stamps: {},
  };
  for (const [key, value] of Object.entries(spec.headers ?? {})) {
    if (isDeathHeader(key) || value === undefined) continue;
    if (Object.hasOwn(headers, key) || isTaken(key)) {
      invalid(`the header "${key}"`, "is Celery's own");
    }
    headers[key] = value;
  }
  const priority = spec.priority ?? 0;
  if ((priority & 255) !== priority) invalid("priority");
  const properties: Record<string, unknown> = {
    delivery_mode: spec.deliveryMode ?? 2,
    priority,
    correlation_id: id,
    reply_to: shortText(spec, "replyTo"),
  };
  if (headers["expires"] !== null && now !== undefined) {
    const left = Math.max(0, Math.trunc(spec.expires as number - now));
    if (left <= LONGEST_EXPIRATION) properties["expiration"] = String(left);
  }
  return { headers, properties, args, kwargs };
}

/**
 * Ten years in ms: of one more, RabbitMQ says "invalid expiration … value_too_large" and closes the channel (measured on 3.10). Without the
 * property the message stays, and the header `expires` still tells the worker to drop the task.
 */
const LONGEST_EXPIRATION = 315_360_000_000;

/** The JSON text of what follows a task, where nothing does. */
const NOTHING_FOLLOWS = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}';

/**
 * The message, not compressed; how large it may be is for its broker to say. Where the spec has no `argsrepr` or `kwargsrepr`, they show the
 * JSON text, the arguments in round brackets.
 *
 * @throws {InvalidTaskError} as {@link buildPlain}.
 * @throws {EncodeError} as `encodeJson`.
 */
export function packPlain(spec: TaskSpec): Message {
  const { headers, properties, args, kwargs } = buildPlain(spec);
  const list = writeJson(args, MAX_DEPTH - 1);
  const names = writeJson(kwargs, MAX_DEPTH - 1);
  headers["argsrepr"] ??= `(${list.slice(1, -1)}${args.length === 1 ? ",)" : ")"}`.slice(0, LONGEST_REPR);
  headers["kwargsrepr"] ??= names.slice(0, LONGEST_REPR);
  const body = encoder.encode(`[${list}, ${names}, ${NOTHING_FOLLOWS}]`);
  return { headers, properties, contentType: "application/json", contentEncoding: "utf-8", body };
}

/** How much is shown of arguments: people read it, no worker does. */
const LONGEST_REPR = 1024;

type Field = keyof TaskSpec;

function text(spec: TaskSpec, field: Field): string | null {
  const value = spec[field] ?? null;
  return value === null || typeof value === "string" ? value : invalid(field);
}

/** AMQP's short strings hold at most 255 bytes. */
function shortText(spec: TaskSpec, field: Field): string {
  const value = text(spec, field) || invalid(field);
  return encoder.encode(value).length > 255 ? invalid(field, "is over 255 bytes") : value;
}

function instant(spec: TaskSpec, field: Field): string | null {
  const value = spec[field] ?? null;
  return value === null ? value : typeof value === "number" && instantText(value) || invalid(field);
}

/** Throws `InvalidTaskError` "task-invalid". */
export function invalid(field: string, what = "is invalid"): never {
  throw new InvalidTaskError("task-invalid", `The task cannot be sent: ${field} ${what}.`);
}
