/**
 * Reads task messages of protocol 2, protocol 1, and the hybrid of both. Whatever would end a Python worker is one clean error here.
 *
 * @module
 */
import { InvalidTaskError } from "../errors.ts";
import {
  type Fields,
  flag,
  instantOf,
  invalid,
  isRecord,
  lenientText,
  limitsOf,
  optionalText,
  own,
  priorityOf,
  recordOr,
  textField,
  texts,
  wholeNumber,
} from "./fields.ts";
import { decodeBody, decodeJson, type DecodeOptions } from "./json.ts";
import type { Message } from "./message.ts";
import { type Embed, NO_EMBED, type WireSignature } from "./signature.ts";
import { isOwnHeader } from "./task-headers.ts";
import { encoder } from "./utf8.ts";

/** A task as it was asked for. Durations are ms, instants ms since the epoch. */
export interface TaskRequest {
  /** 1 or 2; the hybrid counts as 2. */
  readonly protocol: 1 | 2;
  readonly task: string;
  readonly id: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** What follows, in exact form. */
  readonly embed: Embed;
  readonly rootId: string;
  readonly parentId: string | null;
  readonly group: string | null;
  readonly groupIndex: number | null;
  readonly eta: number | null;
  /** As the sender wrote it, for a retry or a copy without loss. */
  readonly etaText: string | null;
  readonly expires: number | null;
  readonly expiresText: string | null;
  readonly retries: number;
  /** Hard limit, ms. */
  readonly timeLimit: number | null;
  /** Soft limit, ms. */
  readonly softTimeLimit: number | null;
  readonly shadow: string | null;
  readonly argsrepr: string | null;
  readonly kwargsrepr: string | null;
  readonly origin: string | null;
  readonly lang: string | null;
  /** Null: the task decides. */
  readonly ignoreResult: boolean | null;
  readonly replacedTaskNesting: number;
  readonly stampedHeaders: readonly string[] | null;
  readonly stamps: Readonly<Record<string, unknown>>;
  /** Where rpc results go; null for what is no queue's name. */
  readonly replyTo: string | null;
  readonly correlationId: string | null;
  /** 0 to 255, whatever the sender wrote. */
  readonly priority: number;
  /** The sender's own headers: all but Celery's. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** The arguments in exact form, for sending them on as they came; read again from the text at each call. */
  exact(): { readonly args: readonly unknown[]; readonly kwargs: Readonly<Record<string, unknown>> };
}

/** The task's name in the header, which says that the message is of protocol 2; undefined for protocol 1 and for what is no task. */
export function peekTask(message: Message): string | undefined {
  const name = own(message.headers, "task");
  return typeof name === "string" ? name : undefined;
}

/**
 * Reads a task from a message and the JSON text of its body (`openContent`).
 *
 * @throws {InvalidTaskError} `task-unknown-message`: no task message at all; `task-invalid`: one with a field that makes no sense.
 * @throws {DecodeError} as `decodeJson`.
 */
export function readTask(message: Message, text: string, options: DecodeOptions = {}): TaskRequest {
  const { headers } = message;
  const named = own(headers, "task") !== undefined;
  const body = readBody(text, options);
  if (named && Array.isArray(body)) {
    if (body.length !== 3) throw invalid(`the body has ${body.length} elements instead of 3`);
    const again = (): unknown => decodeBody(text, { ...options, exact: true });
    return request(
      2,
      message,
      headers,
      body[0],
      body[1],
      embedOf(body[2]),
      () => again() as readonly unknown[],
    );
  }
  if (!isRecord(body) || (!named && own(body, "task") === undefined)) throw unknownMessage(named);
  return readOld(message, text, body, named, options);
}

/** One pass with `JSON.parse` for the usual body, in which nothing follows the task; what follows is read in exact form. */
function readBody(text: string, options: DecodeOptions): unknown {
  return NOTHING_FOLLOWS.test(text.slice(-90)) ? decodeJson(text, options) : decodeBody(text, options);
}

const NOTHING_FOLLOWS =
  /(?:\{\}|null|\{"callbacks": ?null, ?"errbacks": ?null, ?"chain": ?null, ?"chord": ?null\})\]$/;

function readOld(
  message: Message,
  text: string,
  body: Fields,
  named: boolean,
  options: DecodeOptions,
): TaskRequest {
  if (named && own(body, "args") === undefined) throw invalid("the body is an object without args");
  const exact = (): Fields => decodeJson(text, { ...options, exact: true }) as Fields;
  const follows = ["callbacks", "errbacks", "chord"].some((key) => (own(body, key) ?? null) !== null);
  const { callbacks = null, errbacks = null, chord = null } = follows ? exact() : {};
  // Of the hybrid, headers win over the body's fields; in protocol 1 `taskset` is the group.
  const fields: Fields = named
    ? { ...body, ...message.headers }
    : { ...body, group: own(body, "taskset") ?? own(body, "group") };
  const args = own(body, "args") ?? [];
  const kwargs = own(body, "kwargs") ?? {};
  const embed = embedOf({ callbacks, errbacks, chord, chain: null });
  return request(named ? 2 : 1, message, fields, args, kwargs, embed, () => {
    const fresh = exact();
    return [own(fresh, "args") ?? [], own(fresh, "kwargs") ?? {}];
  });
}

function request(
  protocol: 1 | 2,
  message: Message,
  fields: Fields,
  args: unknown,
  kwargs: unknown,
  embed: Embed,
  again: () => readonly unknown[],
): TaskRequest {
  if (!Array.isArray(args)) throw invalid("args is no array");
  if (!isRecord(kwargs)) throw invalid("kwargs is no object");
  const { properties } = message;
  const id = textField(fields, "id");
  const etaText = optionalText(fields, "eta");
  const expiresText = optionalText(fields, "expires");
  const [timeLimit, softTimeLimit] = limitsOf(own(fields, "timelimit"));
  return {
    protocol,
    task: textField(fields, "task"),
    id,
    args,
    kwargs,
    embed,
    rootId: optionalText(fields, "root_id") ?? id,
    parentId: optionalText(fields, "parent_id"),
    group: optionalText(fields, "group"),
    groupIndex: wholeNumber(fields, "group_index"),
    eta: instantOf(etaText, "eta"),
    etaText,
    expires: instantOf(expiresText, "expires"),
    expiresText,
    retries: wholeNumber(fields, "retries") ?? 0,
    timeLimit,
    softTimeLimit,
    shadow: lenientText(fields, "shadow"),
    argsrepr: lenientText(fields, "argsrepr"),
    kwargsrepr: lenientText(fields, "kwargsrepr"),
    origin: lenientText(fields, "origin"),
    lang: lenientText(fields, "lang"),
    ignoreResult: flag(own(fields, "ignore_result")),
    replacedTaskNesting: wholeNumber(fields, "replaced_task_nesting") ?? 0,
    stampedHeaders: texts(own(fields, "stamped_headers")),
    stamps: recordOr(own(fields, "stamps")),
    replyTo: queueName(own(properties, "reply_to")),
    correlationId: lenientText(properties, "correlation_id"),
    priority: priorityOf(own(properties, "priority")),
    headers: customHeaders(message.headers),
    exact() {
      const [exactArgs, exactKwargs] = again();
      return { args: exactArgs as readonly unknown[], kwargs: exactKwargs as Fields };
    },
  };
}

function embedOf(value: unknown): Embed {
  if (value === null || value === undefined) return NO_EMBED;
  if (!isRecord(value)) throw invalid("what follows the task is no object");
  const callbacks = signatures(own(value, "callbacks"), "callbacks");
  const errbacks = signatures(own(value, "errbacks"), "errbacks");
  const chain = signatures(own(value, "chain"), "chain");
  const chord = own(value, "chord") ?? null;
  if (callbacks === null && errbacks === null && chain === null && chord === null) return NO_EMBED;
  return { callbacks, errbacks, chain, chord: chord === null ? null : signatureOf(chord, "chord") };
}

function signatures(value: unknown, field: string): readonly WireSignature[] | null {
  if (value === null || value === undefined) return null;
  if (!Array.isArray(value)) throw invalid(`${field} is no array`);
  return value.map((item) => signatureOf(item, field));
}

function signatureOf(value: unknown, field: string): WireSignature {
  if (!isRecord(value) || typeof own(value, "task") !== "string") {
    throw invalid(`${field} holds what is no signature`);
  }
  const { args = [], kwargs = {}, options = {}, subtask_type = null, immutable = false } = value;
  if (!Array.isArray(args) || !isRecord(kwargs) || !isRecord(options)) {
    throw invalid(`${field} holds a signature with arguments or options that make no sense`);
  }
  // Unknown keys go on as they came.
  return { ...value, args, kwargs, options, subtask_type, immutable } as unknown as WireSignature;
}

/** The name of a queue, or null for what cannot be one: AMQP's short strings hold at most 255 bytes. */
export function queueName(value: unknown): string | null {
  return typeof value === "string" && value !== "" && encoder.encode(value).length <= 255 ? value : null;
}

function customHeaders(headers: Fields): Fields {
  let custom: Record<string, unknown> | undefined;
  for (const key of Object.keys(headers)) {
    if (isOwnHeader(key) || key === "__proto__") continue;
    custom ??= {};
    custom[key] = headers[key];
  }
  return custom ?? NONE;
}

const NONE: Fields = Object.freeze({});

function unknownMessage(named: boolean): InvalidTaskError {
  return named
    ? invalid("the body is neither an array nor an object with args")
    : new InvalidTaskError("task-unknown-message", "The message is no task message.");
}
