/**
 * Writes task messages of protocol 2 as JSON, and refuses what would stop a Python worker. For senders whose size counts: what not each
 * of them needs is given to it (`Means`), not imported.
 *
 * @module
 */
import { InvalidTaskError } from "../errors.ts";
import { isRecord } from "./fields.ts";
import { instantText } from "./instant.ts";
import { encodeJson } from "./json-writer.ts";
import { MAX_DEPTH } from "./limits.ts";
import type { Message } from "./message.ts";
import { plainRepr } from "./repr-plain.ts";
import { NO_EMBED } from "./signature.ts";
import { isDeathHeader, isReserved } from "./task-headers.ts";
import type { TaskParts, TaskSpec } from "./task-spec.ts";
import { encoder } from "./utf8.ts";

/** What a sender may have besides. */
export interface Means {
  /** Reads an instant that is given as text: `parseInstant`. @default none: an instant is a number */
  readonly parse?: (text: unknown) => number | undefined;
  /** Shows the arguments: `saferepr`. @default plainRepr, which knows what has a JSON form */
  readonly repr?: (value: unknown, maxLength?: number, tuple?: boolean) => string;
}

const NONE: Readonly<Record<string, never>> = {};

/**
 * The headers, properties and body of a task message, in Celery's order and with every field that Python writes.
 *
 * @throws {InvalidTaskError} `task-invalid`: a field that no Python worker could read; some would end its process.
 */
export function buildPlain(spec: TaskSpec, { parse, repr = plainRepr }: Means = NONE): TaskParts {
  const { args = [], kwargs = NONE, now } = spec;
  const task = fullText(spec, "task");
  const id = shortText(spec, "id");
  if (!Array.isArray(args)) invalid("args", "is no array");
  if (!isRecord(kwargs)) invalid("kwargs", "is no plain object");
  const expires = orNull(spec, "expires", instant, parse);
  const headers: Record<string, unknown> = {
    // Python workers never read it; it tells people who wrote the message.
    lang: "js",
    task,
    id,
    shadow: orNull(spec, "shadow", text),
    eta: orNull(spec, "eta", instant, parse),
    expires,
    group: orNull(spec, "group", text),
    group_index: orNull(spec, "groupIndex", count),
    retries: count(spec, "retries"),
    timelimit: [orNull(spec, "timeLimit", seconds), orNull(spec, "softTimeLimit", seconds)],
    root_id: orNull(spec, "rootId", text) ?? id,
    parent_id: orNull(spec, "parentId", text),
    argsrepr: orNull(spec, "argsrepr", text) ?? (args.length === 0 ? "()" : repr(args, 1024, true)),
    kwargsrepr: orNull(spec, "kwargsrepr", text) ?? repr(kwargs),
    origin: fullText(spec, "origin"),
    ignore_result: spec.ignoreResult ?? null,
    replaced_task_nesting: count(spec, "replacedTaskNesting"),
    stamped_headers: spec.stampedHeaders ?? null,
    stamps: spec.stamps ?? {},
  };
  for (const [key, value] of Object.entries(spec.headers ?? NONE)) {
    if (isDeathHeader(key) || value === undefined) continue;
    if (Object.hasOwn(headers, key) || isReserved(key)) {
      invalid(`the header ${JSON.stringify(key)}`, "is Celery's own");
    }
    headers[key] = value;
  }
  const properties: Record<string, unknown> = {
    delivery_mode: spec.deliveryMode ?? 2,
    priority: count(spec, "priority", 255),
    correlation_id: id,
    reply_to: shortText(spec, "replyTo"),
  };
  if (expires !== null && now !== undefined) {
    const until = typeof spec.expires === "number" ? spec.expires : parse?.(expires) ?? now;
    const left = Math.max(0, Math.trunc(until - now));
    if (left <= LONGEST_EXPIRATION) properties["expiration"] = String(left);
  }
  return { headers, properties, body: [args, kwargs, spec.embed ?? NO_EMBED] };
}

/**
 * Ten years in ms: of one more, RabbitMQ says "invalid expiration … value_too_large" and closes the channel (measured on 3.10). Without the
 * property the message stays, and the header `expires` still tells the worker to drop the task.
 */
const LONGEST_EXPIRATION = 315_360_000_000;

const NO_EMBED_TEXT = /* @__PURE__ */ encodeJson(NO_EMBED);

/**
 * The JSON text of the body.
 *
 * @throws {EncodeError} as `encodeJson`.
 */
export function bodyText({ body: [args, kwargs, embed] }: TaskParts, maxDepth: number = MAX_DEPTH): string {
  const tail = embed === NO_EMBED ? NO_EMBED_TEXT : encodeJson(embed, maxDepth - 1);
  return `[${encodeJson(args, maxDepth - 1)}, ${encodeJson(kwargs, maxDepth - 1)}, ${tail}]`;
}

/**
 * The message, not compressed; how large it may be is for its broker to say.
 *
 * @throws {InvalidTaskError} as {@link buildPlain}.
 * @throws {EncodeError} as `encodeJson`.
 */
export function packPlain(spec: TaskSpec, means?: Means): Message {
  const parts = buildPlain(spec, means);
  const { headers, properties } = parts;
  const body = encoder.encode(bodyText(parts));
  return { headers, properties, contentType: "application/json", contentEncoding: "utf-8", body };
}

type Field = keyof TaskSpec;

function orNull<T, M>(
  spec: TaskSpec,
  field: Field,
  read: (spec: TaskSpec, field: Field, more?: M) => T,
  more?: M,
): T | null {
  return spec[field] === undefined || spec[field] === null ? null : read(spec, field, more);
}

function text(spec: TaskSpec, field: Field): string {
  const value = spec[field];
  return typeof value === "string" ? value : invalid(field, "is no text");
}

function fullText(spec: TaskSpec, field: Field): string {
  return text(spec, field) || invalid(field, "is no text");
}

/** AMQP's short strings hold at most 255 bytes. */
function shortText(spec: TaskSpec, field: Field): string {
  const value = fullText(spec, field);
  return value.length <= 85 || encoder.encode(value).length <= 255
    ? value
    : invalid(field, "is longer than 255 bytes");
}

function count(spec: TaskSpec, field: Field, most = Number.MAX_SAFE_INTEGER): number {
  const value = spec[field] ?? 0;
  return Number.isInteger(value) && value as number >= 0 && value as number <= most
    ? value as number
    : invalid(field, `is no whole number from 0 to ${most}`);
}

function seconds(spec: TaskSpec, field: Field): number {
  const value = spec[field];
  return typeof value === "number" && value >= 0 && value < Infinity
    ? value / 1000
    : invalid(field, "is no duration");
}

function instant(spec: TaskSpec, field: Field, parse: Means["parse"]): string {
  const value = spec[field];
  if (typeof value === "string" && parse?.(value) !== undefined) return value;
  return typeof value === "number" && instantText(value) || invalid(field, "is no instant, such as a Date");
}

function invalid(field: string, what: string): never {
  throw new InvalidTaskError("task-invalid", `The task cannot be sent: ${field} ${what}.`);
}
