/**
 * Whether a task that was sent is the one that a test means, and what is different about it where not.
 *
 * @module
 */
import { ConfigurationError } from "../../errors.ts";
import { type Duration, toMs } from "../../lib/duration.ts";
import { checkOptionNames } from "../../lib/options.ts";
import { difference, show } from "../difference.ts";
import type { Enqueued } from "./sent.ts";

/** What a test says of a task that was sent; what it does not name may be anything. */
export interface Match<A extends readonly unknown[] = readonly unknown[]> {
  /** The id of the call. */
  readonly id?: string;
  /** All arguments by position. */
  readonly args?: A;
  /** Arguments by name, some of them or all. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** The queue that took it. */
  readonly queue?: string;
  /** AMQP's exchange. */
  readonly exchange?: string;
  /** The key by which it was routed. */
  readonly routingKey?: string;
  /** 0 to 255. */
  readonly priority?: number;
  /** A `Date`, or ISO text; null: there is none. */
  readonly eta?: Date | string | null;
  /** How long after it was sent it may run; a number is seconds; null: at once. */
  readonly countdown?: Duration | null;
  /** Not after this instant: a `Date`, or ISO text; null: it does not expire. */
  readonly expires?: Date | string | null;
  /** The sender's own headers, some of them or all. */
  readonly headers?: Readonly<Record<string, unknown>>;
  /** How often it was retried before. */
  readonly retries?: number;
  /** The task that sent it, or null. */
  readonly parentId?: string | null;
  /** The first task of all. */
  readonly rootId?: string;
  /** The group that it is a part of, or null. */
  readonly groupId?: string | null;
  /** Who sent it: "client", or a worker's name. */
  readonly by?: string;
}

/** Fields in which a part is enough. */
const PARTIAL: ReadonlySet<string> = new Set(["kwargs", "headers"]);

const FIELDS = [
  "args",
  "by",
  "countdown",
  "eta",
  "exchange",
  "expires",
  "groupId",
  "headers",
  "id",
  "kwargs",
  "parentId",
  "priority",
  "queue",
  "retries",
  "rootId",
  "routingKey",
];

/** One field that is not as it was meant. */
export interface Mismatch {
  readonly field: string;
  /** "expected …, got …", with the place inside. */
  readonly text: string;
  readonly actual: unknown;
  readonly expected: unknown;
}

/** What is compared with what, field by field. Throws `ConfigurationError` "option-unknown", "option-invalid", "duration-invalid". */
export function wanted(match: Match): ReadonlyMap<string, unknown> {
  checkOptionNames("A match", match, FIELDS);
  const fields = new Map<string, unknown>();
  for (const [field, value] of Object.entries(match)) {
    if (value === undefined) continue;
    fields.set(field, isMatcher(value) ? value : read(field, value as Match["countdown" | "eta"]));
  }
  return fields;
}

/** The fields in which it is not what is wanted. */
export function mismatches(sent: Enqueued, fields: ReadonlyMap<string, unknown>): readonly Mismatch[] {
  const found: Mismatch[] = [];
  for (const [field, expected] of fields) {
    const actual = sent[field as keyof Enqueued];
    const text = unlike(actual, expected, "", PARTIAL.has(field));
    if (text !== undefined) found.push({ field, text, actual, expected });
  }
  return found;
}

function read(field: string, value: Match["countdown" | "eta"]): unknown {
  if (field === "countdown") return value === null ? undefined : toMs(value as Duration, "countdown") / 1000;
  if (field !== "eta" && field !== "expires") return value;
  if (value === null) return undefined;
  const instant = new Date(value as Date | string);
  if (!Number.isNaN(instant.getTime())) return instant;
  throw new ConfigurationError("option-invalid", `${field} must be a Date or ISO text.`);
}

/** `expect.any(String)`, `expect.objectContaining(…)`: how vitest, Jest and Bun say that a value may be one of many. */
interface Matcher {
  asymmetricMatch(value: unknown): boolean;
}

function isMatcher(value: unknown): value is Matcher {
  return typeof value === "object" && value !== null &&
    typeof (value as Partial<Matcher>).asymmetricMatch === "function";
}

/**
 * Where the two differ. What was expected is as the test wrote it, what was met has been through JSON: a key that is undefined there is none
 * here.
 */
function unlike(actual: unknown, expected: unknown, path: string, partly: boolean): string | undefined {
  if (isMatcher(expected)) {
    return expected.asymmetricMatch(actual) ? undefined : at(path, `${show(actual)} does not match`);
  }
  if (Array.isArray(expected) && Array.isArray(actual)) {
    if (expected.length !== actual.length) {
      return at(path, `expected ${show(expected)}, got ${show(actual)}`);
    }
    return first(
      expected.map((value, index) => () => unlike(actual[index], value, `${path}[${index}]`, false)),
    );
  }
  if (!isPlain(expected) || !isPlain(actual)) {
    const found = difference(actual, expected);
    return found === undefined ? undefined : at(path, found);
  }
  const keys = Object.keys(expected).filter((key) => expected[key] !== undefined);
  const surplus = partly ? undefined : Object.keys(actual).find((key) => !keys.includes(key));
  if (surplus !== undefined) {
    return at(path, `expected no ${JSON.stringify(surplus)}, got ${show(actual[surplus])}`);
  }
  return first(
    keys.map((key) => () => {
      const inside = path === "" ? key : `${path}.${key}`;
      if (!Object.hasOwn(actual, key)) return at(inside, `expected ${show(expected[key])}, got nothing`);
      return unlike(actual[key], expected[key], inside, false);
    }),
  );
}

function at(path: string, text: string): string {
  return path === "" ? text : `at ${path}: ${text}`;
}

function first(looks: readonly (() => string | undefined)[]): string | undefined {
  for (const look of looks) {
    const found = look();
    if (found !== undefined) return found;
  }
  return undefined;
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
