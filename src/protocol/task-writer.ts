/**
 * Writes task messages of protocol 2 with all that a sender can ask for.
 *
 * @module
 */
import { type Packed, type PackOptions, packText } from "./content.ts";
import { parseInstant } from "./instant.ts";
import { encodeJson } from "./json-writer.ts";
import { MAX_DEPTH } from "./limits.ts";
import type { Message } from "./message.ts";
import { saferepr } from "./repr.ts";
import { NO_EMBED } from "./signature.ts";
import { isReserved } from "./task-headers.ts";
import { buildPlain, invalid } from "./task-plain.ts";
import type { TaskParts, TaskSpec } from "./task-spec.ts";

export type { TaskParts, TaskSpec };

/**
 * The headers, properties and body of a task message, in Celery's order and with every field that Python writes.
 *
 * @throws {InvalidTaskError} `task-invalid`: a field that no Python worker could read; some would end its process.
 */
export function buildTask(spec: TaskSpec): TaskParts {
  const { eta, expires, embed = NO_EMBED, group, stampedHeaders, stamps } = spec;
  for (const [key, value] of Object.entries(spec.headers ?? {})) {
    if (value !== undefined && isReserved(key)) {
      invalid(`the header ${JSON.stringify(key)}`, "is Celery's own");
    }
  }
  const hasText = typeof eta === "string" || typeof expires === "string";
  const { headers, properties, args, kwargs } = buildPlain(
    hasText ? { ...spec, eta: ms(eta, "eta"), expires: ms(expires, "expires") } : spec,
  );
  // The text of a peer goes on as it came.
  if (typeof eta === "string") headers["eta"] = eta;
  if (typeof expires === "string") headers["expires"] = expires;
  if (group !== undefined && group !== null) {
    headers["group"] = typeof group === "string" ? group : invalid("group", "is no text");
  }
  if (typeof spec.origin !== "string" || spec.origin === "") invalid("origin", "is no text");
  headers["group_index"] = count(spec, "groupIndex", null);
  headers["retries"] = count(spec, "retries", 0);
  checkSeconds(spec, "timeLimit");
  checkSeconds(spec, "softTimeLimit");
  headers["argsrepr"] ??= args.length === 0 ? "()" : saferepr(args, 1024, true);
  headers["kwargsrepr"] ??= saferepr(kwargs);
  headers["replaced_task_nesting"] = count(spec, "replacedTaskNesting", 0);
  headers["stamped_headers"] = stampedHeaders ?? null;
  headers["stamps"] = stamps ?? {};
  return { headers, properties, body: [args, kwargs, embed] };
}

function ms(value: TaskSpec["eta"], field: string): TaskSpec["eta"] {
  return typeof value === "string"
    ? parseInstant(value) ?? invalid(field, "is no instant, such as a Date")
    : value;
}

function count<N>(spec: TaskSpec, field: keyof TaskSpec, none: N): number | N {
  const value = spec[field] ?? none;
  return value === none || Number.isSafeInteger(value) && value as number >= 0
    ? value as number
    : invalid(field, `is no whole number from 0 to ${Number.MAX_SAFE_INTEGER}`);
}

function checkSeconds(spec: TaskSpec, field: "softTimeLimit" | "timeLimit"): void {
  const value: unknown = spec[field] ?? 0;
  if (!(typeof value === "number" && value >= 0 && value < Infinity)) invalid(field, "is no duration");
}

const NO_EMBED_TEXT = /* @__PURE__ */ encodeJson(NO_EMBED);

/**
 * The JSON text of the body.
 *
 * @throws {EncodeError} as `encodeJson`.
 */
function bodyText({ body: [args, kwargs, embed] }: TaskParts, maxDepth: number = MAX_DEPTH): string {
  const tail = embed === NO_EMBED ? NO_EMBED_TEXT : encodeJson(embed, maxDepth - 1);
  return `[${encodeJson(args, maxDepth - 1)}, ${encodeJson(kwargs, maxDepth - 1)}, ${tail}]`;
}

/** How a task message is packed; as any content. */
export type PackTaskOptions = PackOptions;

/**
 * The whole message. A promise only where the body is compressed.
 *
 * @throws {InvalidTaskError} as {@link buildTask}.
 * @throws {ConfigurationError} as `packContent`.
 * @throws {EncodeError} as `packContent`.
 */
export function packTask(spec: TaskSpec, options: PackTaskOptions = {}): Message | Promise<Message> {
  const parts = buildTask(spec);
  const packed = packText(bodyText(parts, options.limits?.maxDepth), options);
  return packed instanceof Promise
    ? packed.then((content) => message(parts, content))
    : message(parts, packed);
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
