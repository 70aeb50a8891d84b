/**
 * The arguments of `queue.declare`: what the fake knows of them, and when RabbitMQ calls two declarations equal.
 *
 * @module
 */
import type { Table } from "./command.ts";
import { erlangText, typeOf } from "./erlang.ts";
import { FakeUnsupported, Fault } from "./fault.ts";

/** What a queue does, by its arguments. */
export interface QueueRules {
  readonly messageTtl: number | undefined;
  readonly expires: number | undefined;
  readonly maxPriority: number;
  readonly maxLength: number;
  readonly maxBytes: number;
  readonly overflow: Overflow;
  readonly singleActive: boolean;
  readonly deadLetter: { readonly exchange: string; readonly routingKey: string | undefined } | undefined;
}

/** What a full queue does: with `reject-publish-dlx` a refused message is a dead letter as well. */
export type Overflow = (typeof OVERFLOWS)[number];

const OVERFLOWS = ["drop-head", "reject-publish", "reject-publish-dlx"] as const;

/** The longest time that RabbitMQ takes, ms: ten years of 365 days. */
export const LONGEST_TIME = 315_360_000_000;

/** In the order in which RabbitMQ looks at them: the first that is wrong is told. */
const KNOWN: readonly string[] = [
  "x-expires",
  "x-message-ttl",
  "x-dead-letter-exchange",
  "x-dead-letter-routing-key",
  "x-max-length",
  "x-max-length-bytes",
  "x-max-priority",
  "x-overflow",
  "x-queue-mode",
  "x-single-active-consumer",
  "x-queue-type",
];

/** Throws {@link FakeUnsupported} for arguments that RabbitMQ knows, or takes in silence, and the fake does not know. */
export function demandKnown(table: Table): void {
  for (const key of Object.keys(table)) {
    if (!KNOWN.includes(key)) throw new FakeUnsupported(`the queue argument "${key}"`);
  }
  const type = table["x-queue-type"];
  if (type === "quorum" || type === "stream") throw new FakeUnsupported(`queues of type "${type}"`);
}

/** Reads the arguments of a new queue, each in the order of {@link KNOWN}; a `Fault` where RabbitMQ refuses them. */
class Reader {
  readonly #table: Table;
  readonly #where: string;

  constructor(table: Table, queue: string) {
    this.#table = table;
    this.#where = `queue '${queue}' in vhost '/'`;
  }

  whole(key: string, least: 0 | 1, most: number, tooMuch: string): number | undefined {
    const given = this.#table[key];
    if (given === undefined) return undefined;
    const value = typeof given === "bigint" ? Number(given) : given;
    if (typeof value !== "number" || !Number.isInteger(value)) {
      throw this.fault(key, `"expected integer, got ${typeOf(given)}"`);
    }
    if (value < 0) throw this.fault(key, `{value_negative,${value}}`);
    if (value < least) throw this.fault(key, `{value_zero,${value}}`);
    if (value > most) throw this.fault(key, `{${tooMuch},${value}}`);
    return value;
  }

  /** A name or routing key of dead letters. */
  name(key: string): string | undefined {
    const value = this.#table[key];
    if (value === undefined || typeof value === "string") return value;
    throw new Fault(406, `invalid type '${typeOf(value)}' for arg '${key}' in ${this.#where}`);
  }

  oneOf<T extends string>(
    key: string,
    choices: readonly T[],
    refusal: (value: string) => string,
  ): T | undefined {
    const value = this.#table[key];
    if (value === undefined) return undefined;
    if (typeof value !== "string") throw this.fault(key, `{unacceptable_type,${typeOf(value)}}`);
    const choice = choices.find((one) => one === value);
    if (choice === undefined) throw this.fault(key, refusal(value));
    return choice;
  }

  flag(key: string): boolean {
    const value = this.#table[key];
    if (value !== undefined && typeof value !== "boolean") {
      throw this.fault(key, `{unacceptable_type,${typeOf(value)}}`);
    }
    return value === true;
  }

  fault(key: string, reason: string): Fault {
    return new Fault(406, `invalid arg '${key}' for ${this.#where}: ${reason}`);
  }
}

/** What a queue of this name does; a `Fault` where RabbitMQ refuses the arguments. */
export function readRules(table: Table, queue: string): QueueRules {
  const read = new Reader(table, queue);
  const expires = read.whole("x-expires", 1, LONGEST_TIME, "value_too_large");
  const messageTtl = read.whole("x-message-ttl", 0, LONGEST_TIME, "value_too_large");
  const exchange = read.name("x-dead-letter-exchange");
  const routingKey = read.name("x-dead-letter-routing-key");
  if (exchange === undefined && routingKey !== undefined) {
    throw read.fault("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined");
  }
  const maxLength = read.whole("x-max-length", 0, Infinity, "") ?? Infinity;
  const maxBytes = read.whole("x-max-length-bytes", 0, Infinity, "") ?? Infinity;
  const maxPriority = read.whole("x-max-priority", 0, 255, "max_value_exceeded") ?? 0;
  const overflow = read.oneOf("x-overflow", OVERFLOWS, () => "invalid_overflow") ?? "drop-head";
  read.oneOf("x-queue-mode", ["default", "lazy"], (mode) => `"unsupported queue mode '${mode}'"`);
  const singleActive = read.flag("x-single-active-consumer");
  read.oneOf("x-queue-type", ["classic"], (type) => `"unsupported queue type '${type}'"`);
  const deadLetter = exchange === undefined ? undefined : { exchange, routingKey };
  return { messageTtl, expires, maxPriority, maxLength, maxBytes, overflow, singleActive, deadLetter };
}

/** Refuses a redeclaration whose arguments differ. Only the type has a default that may be said or left out; of others that differs. */
export function demandEqual(what: string, current: Table, asked: Table): void {
  for (const key of KNOWN) {
    const missing = key === "x-queue-type" ? "classic" : undefined;
    demandSame(what, key, current[key] ?? missing, asked[key] ?? missing);
  }
}

/** Refuses a redeclaration whose `key` differs. Numbers are compared by value, however wide they were written. */
export function demandSame(what: string, key: string, current: unknown, asked: unknown): void {
  if (plain(current) === plain(asked)) return;
  const both = current !== undefined && asked !== undefined;
  const show = (value: unknown): string => {
    if (value === undefined) return "none";
    return both ? erlangText(value) : `the value ${erlangText(value)} of type '${typeOf(value)}'`;
  };
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
