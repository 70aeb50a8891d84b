/**
 * The fields of a record from the wire, each read as what it must be. Only a record's own fields count.
 *
 * @module
 */
import { InvalidTaskError } from "../errors.ts";
import { parseInstant } from "./instant.ts";

/** Headers, properties, or the body of an old message. */
export type Fields = Readonly<Record<string, unknown>>;

/** The pair `[hard, soft]` in ms, from seconds. A Python worker dies of anything but a pair or null. */
export function limitsOf(value: unknown): readonly [number | null, number | null] {
  if (value === undefined || value === null) return [null, null];
  if (!Array.isArray(value) || value.length !== 2) throw invalid("timelimit is no pair");
  return [limitOf(value[0]), limitOf(value[1])];
}

function limitOf(value: unknown): number | null {
  if (value === undefined || value === null) return null;
  const seconds = plainNumber(value);
  if (typeof seconds !== "number" || !Number.isFinite(seconds) || seconds < 0) {
    throw invalid("timelimit holds no duration");
  }
  return seconds * 1000;
}

/** The instant in ms; Celery refuses what is none. */
export function instantOf(text: string | null, field: string): number | null {
  if (text === null) return null;
  const ms = parseInstant(text);
  if (ms === undefined) throw invalid(`${field} is no instant: ${JSON.stringify(text.slice(0, 40))}`);
  return ms;
}

/** A text that must be there. */
export function textField(fields: Fields, key: string): string {
  const value = own(fields, key);
  if (typeof value === "string" && value !== "") return value;
  throw invalid(`${key} is no text`);
}

/** A text, or null. */
export function optionalText(fields: Fields, key: string): string | null {
  const value = own(fields, key);
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  throw invalid(`${key} is no text`);
}

/** For fields that are only shown: what is no text counts as none. */
export function lenientText(fields: Fields, key: string): string | null {
  const value = own(fields, key);
  return typeof value === "string" ? value : null;
}

/** A whole number from 0, or null. */
export function wholeNumber(fields: Fields, key: string): number | null {
  const value = plainNumber(own(fields, key));
  if (value === undefined || value === null) return null;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(`${key} is no whole number`);
}

/** AMQP's 64-bit integers may come as bigint. */
function plainNumber(value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

/** A priority as AMQP has them, 0 to 255; 0 for what is none. On Redis a peer may write any number, which no retry could be sent with. */
export function priorityOf(value: unknown): number {
  const found = plainNumber(value);
  return typeof found === "number" && Number.isFinite(found)
    ? Math.min(255, Math.max(0, Math.round(found)))
    : 0;
}

/** True, false, or null for whatever else. */
export function flag(value: unknown): boolean | null {
  return typeof value === "boolean" ? value : null;
}

/** The texts of an array, or null. */
export function texts(value: unknown): readonly string[] | null {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : null;
}

/** An object, or an empty one. */
export function recordOr(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

/** Whether a value is a plain object. */
export function isRecord(value: unknown): value is Fields {
  const prototype: unknown = Object(value) === value ? Object.getPrototypeOf(value) : undefined;
  return prototype === Object.prototype || prototype === null;
}

/** A field of the object's own. */
export function own(record: Fields, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** The error for a task message whose fields make no sense. */
export function invalid(what: string): InvalidTaskError {
  return new InvalidTaskError("task-invalid", `The task message is invalid: ${what}.`);
}
