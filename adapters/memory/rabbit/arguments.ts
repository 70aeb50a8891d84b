/**
 * The arguments of `queue.declare`: what the fake knows of them, and when RabbitMQ calls two declarations equal.
 *
 * @module
 */
import type { Table } from "./command.ts";
import { FakeUnsupported, Fault } from "./fault.ts";

/** What a queue does, by its arguments. */
export interface QueueRules {
  readonly messageTtl: number | undefined;
  readonly expires: number | undefined;
  readonly maxPriority: number;
  readonly maxLength: number;
  readonly maxBytes: number;
  readonly rejectsOverflow: boolean;
  readonly deadLetter: { readonly exchange: string; readonly routingKey: string | undefined } | undefined;
}

/** The longest time that RabbitMQ takes, ms: ten years of 365 days. */
export const LONGEST_TIME = 315_360_000_000;

const KNOWN: ReadonlySet<string> = new Set([
  "x-message-ttl",
  "x-expires",
  "x-max-priority",
  "x-max-length",
  "x-max-length-bytes",
  "x-overflow",
  "x-dead-letter-exchange",
  "x-dead-letter-routing-key",
  "x-queue-type",
  "x-queue-mode",
]);

function whole(table: Table, key: string, least: number, most: number): number | undefined {
  const given = table[key];
  if (given === undefined) return undefined;
  const value = typeof given === "bigint" ? Number(given) : given;
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw new Fault(406, `invalid arg '${key}': ${String(value)}`);
  }
  return value;
}

function word(table: Table, key: string): string | undefined {
  const value = table[key];
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw new Fault(406, `invalid arg '${key}': ${String(value)}`);
  return value;
}

/** Throws {@link FakeUnsupported} for arguments that RabbitMQ knows, or takes in silence, and the fake does not know. */
export function demandKnown(table: Table): void {
  for (const key of Object.keys(table)) {
    if (!KNOWN.has(key)) throw new FakeUnsupported(`the queue argument "${key}"`);
  }
  const type = table["x-queue-type"];
  if (type === "quorum" || type === "stream") throw new FakeUnsupported(`queues of type "${type}"`);
  const overflow = table["x-overflow"];
  if (overflow === "reject-publish-dlx") throw new FakeUnsupported(`x-overflow "${overflow}"`);
}

/** Reads the arguments of a new queue; a `Fault` where RabbitMQ refuses them. */
export function readRules(table: Table): QueueRules {
  const type = word(table, "x-queue-type") ?? "classic";
  if (type !== "classic") {
    throw new Fault(406, `invalid arg 'x-queue-type': unsupported queue type '${type}'`);
  }
  const mode = word(table, "x-queue-mode") ?? "default";
  if (mode !== "default" && mode !== "lazy") {
    throw new Fault(406, `invalid arg 'x-queue-mode': unsupported queue mode '${mode}'`);
  }
  const overflow = word(table, "x-overflow") ?? "drop-head";
  if (overflow !== "drop-head" && overflow !== "reject-publish") {
    throw new Fault(406, `invalid arg 'x-overflow': ${overflow}`);
  }
  const exchange = word(table, "x-dead-letter-exchange");
  const routingKey = word(table, "x-dead-letter-routing-key");
  if (exchange === undefined && routingKey !== undefined) {
    throw new Fault(406, "invalid arg 'x-dead-letter-routing-key': routing_key_but_no_dlx_defined");
  }
  return {
    messageTtl: whole(table, "x-message-ttl", 0, LONGEST_TIME),
    expires: whole(table, "x-expires", 1, LONGEST_TIME),
    maxPriority: whole(table, "x-max-priority", 0, 255) ?? 0,
    maxLength: whole(table, "x-max-length", 0, Number.MAX_SAFE_INTEGER) ?? Infinity,
    maxBytes: whole(table, "x-max-length-bytes", 0, Number.MAX_SAFE_INTEGER) ?? Infinity,
    rejectsOverflow: overflow === "reject-publish",
    deadLetter: exchange === undefined ? undefined : { exchange, routingKey },
  };
}

/** Refuses a redeclaration whose arguments differ. Only the type has a default that may be said or left out; of others that differs. */
export function demandEqual(what: string, current: Table, asked: Table): void {
  for (const key of new Set([...Object.keys(current), ...Object.keys(asked)])) {
    const missing = key === "x-queue-type" ? "classic" : undefined;
    demandSame(what, key, current[key] ?? missing, asked[key] ?? missing);
  }
}

/** Refuses a redeclaration whose `key` differs. Numbers are compared by value, however wide they were written. */
export function demandSame(what: string, key: string, current: unknown, asked: unknown): void {
  if (plain(current) === plain(asked)) return;
  const show = (value: unknown): string => value === undefined ? "none" : `the value '${String(value)}'`;
  throw new Fault(
    406,
    `inequivalent arg '${key}' for ${what} in vhost '/': received ${show(asked)} but current is ${
      show(current)
    }`,
  );
}

function plain(value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}
