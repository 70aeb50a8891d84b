/**
 * Writes task messages of protocol 2 with all that a sender can ask for.
 *
 * @module
 */
import { type Packed, type PackOptions, packText } from "./content.ts";
import { parseInstant } from "./instant.ts";
import type { Message } from "./message.ts";
import { saferepr } from "./repr.ts";
import { bodyText, buildPlain, type Means } from "./task-plain.ts";
import type { TaskParts, TaskSpec } from "./task-spec.ts";

export type { TaskParts, TaskSpec };

const ALL: Means = { parse: parseInstant, repr: saferepr };

/**
 * The headers, properties and body of a task message, in Celery's order and with every field that Python writes.
 *
 * @throws {InvalidTaskError} `task-invalid`: a field that no Python worker could read; some would end its process.
 */
export function buildTask(spec: TaskSpec): TaskParts {
  return buildPlain(spec, ALL);
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
