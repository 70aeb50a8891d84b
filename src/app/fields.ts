/**
 * Objects within settings, field by field: a slip is a sentence that names the place, the key, and what was probably meant.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import { nearest } from "../lib/suggest.ts";
import { camelCase } from "./settings-names.ts";
import type { Kind } from "./settings-kinds.ts";

/** The fields of an object, each with its kind; `aliases` are older names. */
export interface Fields<T> {
  readonly kinds: { readonly [K in keyof T]-?: Kind<NonNullable<T[K]>> };
  readonly aliases?: Readonly<Record<string, keyof T & string>>;
}

/**
 * Reads an object whose keys are in camelCase or Celery's. `place` begins each sentence: `task_queues: queue "video"`. Null is Celery's
 * None: as if nothing were said. Throws `ConfigurationError` "setting-invalid".
 */
export function readFields<T>(value: unknown, place: string, { kinds, aliases = {} }: Fields<T>): T {
  if (!isRecord(value)) throw invalid(place, `an object with ${list(Object.keys(kinds))}`, value);
  const read: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(value)) {
    const name = aliases[key] ?? camelCase(key);
    if (!Object.hasOwn(kinds, name)) throw unknownField(place, key, Object.keys(kinds));
    if (part === null || part === undefined) continue;
    const kind: Kind<unknown> = kinds[name as keyof T];
    const known = kind.read(part, `${place}: ${key}`);
    if (known === undefined) throw invalid(`${place}: ${key}`, kind.is, part);
    read[name] = known;
  }
  return read as T;
}

/** What stands at `place` is not what it must be. */
export function invalid(place: string, is: string, value: unknown): ConfigurationError {
  return new ConfigurationError("setting-invalid", `${place} must be ${is}; it is ${shown(value)}.`);
}

function unknownField(place: string, key: string, known: readonly string[]): ConfigurationError {
  const meant = nearest(key, known);
  const hint = meant === undefined ? `It has ${list(known)}.` : `Did you mean ${JSON.stringify(meant)}?`;
  return new ConfigurationError(
    "setting-invalid",
    `${place} has no option ${JSON.stringify(key.slice(0, 80))}.`,
    { hint },
  );
}

/** Enough to find the mistake, and never a text: it may be a URL with a password. */
export function shown(value: unknown): string {
  if (value === null) return "null (Celery's None)";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "string") return value === "" ? "an empty text" : "another text";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : `of type ${typeof value}`;
}

/** An object that is no array and no map. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

function list(names: readonly string[]): string {
  return names.join(", ");
}
