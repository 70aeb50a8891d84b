/**
 * What each option of a signature must be on the wire: a peer may have written anything.
 *
 * @module
 */
import { InvalidTaskError } from "../errors.ts";
import { isRecord, own } from "../protocol/fields.ts";
import type { WireSignature } from "../protocol/signature.ts";
import { PyDatetime, PyFloat } from "../protocol/types.ts";
import type { RetryPolicy } from "../result/sender.ts";

/** The option read; undefined where it is not of its kind. */
type Kind = (value: unknown) => unknown;

const text: Kind = (value) => {
  const found = value instanceof String ? String(value) : value;
  return typeof found === "string" ? found : undefined;
};

const number: Kind = (value) => {
  const found = value instanceof PyFloat ? value.valueOf() : value;
  return typeof found === "number" && Number.isFinite(found) ? found : undefined;
};

const flag: Kind = (value) => typeof value === "boolean" ? value : undefined;

const record: Kind = (value) => isRecord(value) ? value : undefined;

const texts: Kind = (value) =>
  Array.isArray(value) && value.every((each) => typeof each === "string") ? value : undefined;

const instant: Kind = (value) => {
  if (value instanceof PyDatetime) return value.text;
  return value instanceof Date ? value : text(value);
};

const KINDS: ReadonlyMap<string, readonly [Kind, is: string]> = new Map<string, readonly [Kind, string]>([
  ..."task_id reply_to group_id root_id parent_id queue exchange routing_key serializer compression shadow argsrepr kwargsrepr"
    .split(" ").map((name) => [name, [text, "text"]] as const),
  ..."group_index priority countdown time_limit soft_time_limit".split(" ").map((
    name,
  ) => [name, [number, "number"]] as const),
  ["ignore_result", [flag, "boolean"]],
  ["add_to_parent", [flag, "boolean"]],
  ["headers", [record, "object"]],
  ["eta", [instant, "instant"]],
  ["expires", [(value) => number(value) ?? instant(value), "instant or number of seconds"]],
  ["stamped_headers", [texts, "array of texts"]],
]);

/** Empty texts that Celery takes for nothing said. */
const EMPTY_IS_NONE: ReadonlySet<string> = new Set(["task_id", "queue", "serializer", "compression"]);

/**
 * An option in the form in which it is used: `PyFloat` as number, `PyDatetime` as text. Undefined where it says nothing. An option that
 * is not known here is given back as it is. Throws `InvalidTaskError` "signature-invalid".
 */
export function wireOption(name: string, value: unknown): unknown {
  if (value === null || value === undefined || (value === "" && EMPTY_IS_NONE.has(name))) return undefined;
  const [kind, is] = KINDS.get(name) ?? [];
  if (kind === undefined || is === undefined) return value;
  return kind(value) ?? refuse(name, is);
}

/** A value as {@link WireSignature}; all but the task's name may be missing, as Celery tolerates. */
export function wireSignature(value: unknown, what: string): WireSignature {
  if (isRecord(value)) {
    const { task, args, kwargs, options } = value;
    const right = typeof task === "string" && Object.hasOwn(value, "task") &&
      (Array.isArray(args) || (args ?? null) === null) &&
      [kwargs, options].every((each) => (each ?? null) === null || isRecord(each));
    if (right) return value as unknown as WireSignature;
  }
  throw new InvalidTaskError("signature-invalid", `${what} holds something that is not a signature.`);
}

/** One signature or several; null where nothing is said. */
export function wireSignatures(value: unknown, what: string): WireSignature[] | null {
  if (value === undefined || value === null) return null;
  return (Array.isArray(value) ? value as readonly unknown[] : [value]).map((each) =>
    wireSignature(each, what)
  );
}

const POLICY = [
  ["intervalStart", "interval_start"],
  ["intervalStep", "interval_step"],
  ["intervalMax", "interval_max"],
] as const;

/** Celery's `retry_policy`; repeats without end are null there. */
export function wirePolicy(value: unknown): RetryPolicy {
  if (!isRecord(value)) return refuse("retry_policy", "object");
  const policy: Record<string, unknown> = {};
  const most = own(value, "max_retries");
  if (most !== undefined) policy["maxRetries"] = most === null ? null : atLeastZero(most);
  for (const [door, name] of POLICY) {
    const seconds = own(value, name);
    if (seconds !== undefined && seconds !== null) policy[door] = atLeastZero(seconds);
  }
  return policy;
}

function atLeastZero(value: unknown): number {
  const found = number(value);
  return typeof found === "number" && found >= 0 ? found : refuse("retry_policy", "object of numbers");
}

/** The value itself is not shown: it may be huge. */
function refuse(name: string, is: string): never {
  throw new InvalidTaskError("signature-invalid", `The option ${name} of a signature is no ${is}.`);
}
