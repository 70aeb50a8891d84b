/**
 * Writes task messages of protocol 2, and refuses what would stop a Python worker.
 *
 * @module
 */
import { InvalidTaskError } from "../errors.ts";
import { type Packed, type PackOptions, packText } from "./content.ts";
import { formatInstant, isInstant, parseInstant } from "./instant.ts";
import { encodeJson } from "./json.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { Message } from "./message.ts";
import { reprArgs, saferepr } from "./repr.ts";
import { type Embed, NO_EMBED } from "./signature.ts";
import { isDeathHeader, isOwnHeader } from "./task-headers.ts";

/** What a task message says. Durations are ms and instants ms since the epoch, as everywhere behind the door. */
export interface TaskSpec {
  readonly task: string;
  /** Any text of at most 255 bytes; a UUID as a rule. It is the correlation id too. */
  readonly id: string;
  /** @default [] */
  readonly args?: readonly unknown[];
  /** @default {} */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** What follows. @default NO_EMBED */
  readonly embed?: Embed;
  /** Who sends: `gen<pid>@<hostname>`. */
  readonly origin: string;
  /** Where rpc results go. */
  readonly replyTo: string;
  /** @default the task's own id */
  readonly rootId?: string | null | undefined;
  /** @default null */
  readonly parentId?: string | null | undefined;
  /** @default null */
  readonly group?: string | null | undefined;
  /** @default null */
  readonly groupIndex?: number | null | undefined;
  /** Not before: ms since the epoch, or the ISO text that a peer wrote. @default null */
  readonly eta?: number | string | null | undefined;
  /** Not after: ms since the epoch, or the ISO text that a peer wrote. @default null */
  readonly expires?: number | string | null | undefined;
  /** The clock's reading, ms since the epoch. With `expires` of the next ten years it gives the property `expiration`, by which RabbitMQ drops the message. */
  readonly now?: number | undefined;
  /** @default 0 */
  readonly retries?: number | undefined;
  /** Hard limit, ms. @default null */
  readonly timeLimit?: number | null | undefined;
  /** Soft limit, ms. @default null */
  readonly softTimeLimit?: number | null | undefined;
  /** The name that logs and events show. @default null */
  readonly shadow?: string | null | undefined;
  /** @default Python's text of the arguments, at most 1024 characters */
  readonly argsrepr?: string | null | undefined;
  /** @default Python's text of the keyword arguments, at most 1024 characters */
  readonly kwargsrepr?: string | null | undefined;
  /** Null leaves the decision to the worker's task; false would turn storing back on. @default null */
  readonly ignoreResult?: boolean | null | undefined;
  /** @default 0 */
  readonly replacedTaskNesting?: number | undefined;
  /** @default null */
  readonly stampedHeaders?: readonly string[] | null | undefined;
  /** @default {} */
  readonly stamps?: Readonly<Record<string, unknown>> | undefined;
  /** 0 to 255. @default 0 */
  readonly priority?: number | null | undefined;
  /** 2 survives a restart of the broker, 1 does not. @default 2 */
  readonly deliveryMode?: 1 | 2 | undefined;
  /** The sender's own headers; Celery's names are refused, notes of dead-lettering dropped. */
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
}

/** A task message before its body is made into bytes. */
export interface TaskParts {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly body: readonly [args: readonly unknown[], kwargs: Readonly<Record<string, unknown>>, embed: Embed];
}

const NO_KWARGS: Readonly<Record<string, unknown>> = {};

/**
 * The headers, properties and body of a task message, in Celery's order and with every field that Python writes.
 *
 * @throws {InvalidTaskError} `task-invalid`: a field that no Python worker could read; some would end its process.
 */
export function buildTask(spec: TaskSpec): TaskParts {
  const { task, id, args = [], kwargs = NO_KWARGS } = spec;
  text(task, "task");
  shortText(id, "id");
  if (!Array.isArray(args)) throw invalid("args is no array");
  if (!isPlain(kwargs)) throw invalid("kwargs is no plain object");
  const expires = instantText(spec.expires, "expires");
  const headers: Record<string, unknown> = {
    // Python workers never read it; it tells people who wrote the message.
    lang: "js",
    task,
    id,
    shadow: textOrNull(spec.shadow, "shadow"),
    eta: instantText(spec.eta, "eta"),
    expires,
    group: textOrNull(spec.group, "group"),
    group_index: spec.groupIndex === undefined || spec.groupIndex === null
      ? null
      : count(spec.groupIndex, "groupIndex"),
    retries: count(spec.retries ?? 0, "retries"),
    timelimit: [seconds(spec.timeLimit, "timeLimit"), seconds(spec.softTimeLimit, "softTimeLimit")],
    root_id: textOrNull(spec.rootId, "rootId") ?? id,
    parent_id: textOrNull(spec.parentId, "parentId"),
    argsrepr: textOrNull(spec.argsrepr, "argsrepr") ?? (args.length === 0 ? "()" : reprArgs(args)),
    kwargsrepr: textOrNull(spec.kwargsrepr, "kwargsrepr") ?? saferepr(kwargs),
    origin: text(spec.origin, "origin"),
    ignore_result: spec.ignoreResult ?? null,
    replaced_task_nesting: count(spec.replacedTaskNesting ?? 0, "replacedTaskNesting"),
    stamped_headers: spec.stampedHeaders ?? null,
    stamps: spec.stamps ?? {},
  };
  if (spec.headers !== undefined) addHeaders(headers, spec.headers);
  const properties: Record<string, unknown> = {
    delivery_mode: spec.deliveryMode ?? 2,
    priority: priorityOf(spec.priority ?? 0),
    correlation_id: id,
    reply_to: shortText(spec.replyTo, "replyTo"),
  };
  if (expires !== null && spec.now !== undefined) {
    const left = timeLeft(spec.expires, spec.now);
    if (left <= LONGEST_EXPIRATION) properties["expiration"] = String(left);
  }
  return { headers, properties, body: [args, kwargs, spec.embed ?? NO_EMBED] };
}

/** How a task message is packed; as any content. */
export type PackTaskOptions = PackOptions;

const NO_EMBED_TEXT = encodeJson(NO_EMBED);

/**
 * The whole message. A promise only where the body is compressed.
 *
 * @throws {InvalidTaskError} as {@link buildTask}.
 * @throws {EncodeError} as `packContent`.
 */
export function packTask(spec: TaskSpec, options: PackTaskOptions = {}): Message | Promise<Message> {
  const parts = buildTask(spec);
  const packed = packText(bodyText(parts, options.limits?.maxDepth ?? DEFAULT_LIMITS.maxDepth), options);
  return packed instanceof Promise
    ? packed.then((content) => message(parts, content))
    : message(parts, packed);
}

function bodyText({ body: [args, kwargs, embed] }: TaskParts, maxDepth: number): string {
  const tail = embed === NO_EMBED ? NO_EMBED_TEXT : encodeJson(embed, maxDepth - 1);
  return `[${encodeJson(args, maxDepth - 1)}, ${encodeJson(kwargs, maxDepth - 1)}, ${tail}]`;
}

function message(
  { headers, properties }: TaskParts,
  { contentType, contentEncoding, body, compression }: Packed,
): Message {
  return {
    headers: compression === undefined ? headers : { ...headers, compression },
    properties,
    contentType,
    contentEncoding,
    body,
  };
}

function addHeaders(headers: Record<string, unknown>, custom: Readonly<Record<string, unknown>>): void {
  for (const key of Object.keys(custom)) {
    if (isDeathHeader(key) || custom[key] === undefined) continue;
    if (isOwnHeader(key) || key === "__proto__") {
      throw invalid(`the header ${JSON.stringify(key)} is Celery's own`);
    }
    headers[key] = custom[key];
  }
}

function text(value: unknown, field: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw invalid(`${field} is no text`);
}

/** AMQP's short strings hold at most 255 bytes. */
function shortText(value: unknown, field: string): string {
  const found = text(value, field);
  if (found.length <= 85 || new TextEncoder().encode(found).length <= 255) return found;
  throw invalid(`${field} is longer than 255 bytes`);
}

function textOrNull(value: unknown, field: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  throw invalid(`${field} is no text`);
}

function count(value: unknown, field: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(`${field} is no whole number from 0`);
}

function seconds(ms: unknown, field: string): number | null {
  if (ms === undefined || ms === null) return null;
  if (typeof ms === "number" && Number.isFinite(ms) && ms >= 0) return ms / 1000;
  throw invalid(`${field} is no duration`);
}

function priorityOf(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 255) return value;
  throw invalid("priority is no whole number from 0 to 255");
}

function instantText(value: unknown, field: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "number" && isInstant(value)) return formatInstant(value);
  if (typeof value === "string" && parseInstant(value) !== undefined) return value;
  throw invalid(`${field} is no instant`);
}

function timeLeft(expires: unknown, now: number): number {
  const ms = typeof expires === "number" ? expires : parseInstant(expires) ?? now;
  return Math.max(0, Math.trunc(ms - now));
}

/**
 * Ten years in ms: of one more, RabbitMQ says "invalid expiration … value_too_large" and closes the channel (measured on 3.10). Without the
 * property the message stays, and the header `expires` still tells the worker to drop the task.
 */
const LONGEST_EXPIRATION = 315_360_000_000;

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function invalid(what: string): InvalidTaskError {
  return new InvalidTaskError("task-invalid", `The task cannot be sent: ${what}.`);
}
