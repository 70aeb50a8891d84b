/**
 * The options of a call in their two spellings: camelCase with units at the door, Celery's own on the wire.
 *
 * @module
 */
import { InvalidTaskError } from "../errors.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import { own } from "../protocol/fields.ts";
import type { WireSignature } from "../protocol/signature.ts";
import type { RetryPolicy, SendOptions } from "../result/sender.ts";
import type { AnySignature } from "./signature.ts";
import { wireOption, wirePolicy, wireSignature, wireSignatures } from "./wire-kinds.ts";

/** Options that read the same in both spellings but for their names. */
const PLAIN = [
  ["taskId", "task_id"],
  ["replyTo", "reply_to"],
  ["groupId", "group_id"],
  ["groupIndex", "group_index"],
  ["rootId", "root_id"],
  ["parentId", "parent_id"],
  ["queue", "queue"],
  ["exchange", "exchange"],
  ["routingKey", "routing_key"],
  ["priority", "priority"],
  ["eta", "eta"],
  ["serializer", "serializer"],
  ["compression", "compression"],
  ["headers", "headers"],
  ["shadow", "shadow"],
  ["argsrepr", "argsrepr"],
  ["kwargsrepr", "kwargsrepr"],
  ["ignoreResult", "ignore_result"],
  ["addToParent", "add_to_parent"],
  ["chain", "chain"],
] as const;

/** Options that are a time: seconds on the wire. */
const TIMES = [["countdown", "countdown"], ["timeLimit", "time_limit"], [
  "softTimeLimit",
  "soft_time_limit",
]] as const;

const POLICY = [
  ["maxRetries", "max_retries"],
  ["intervalStart", "interval_start"],
  ["intervalStep", "interval_step"],
  ["intervalMax", "interval_max"],
] as const;

/** `expires` may also be an instant, so that it is written by hand below. */
const TO_DOOR: ReadonlyMap<string, string> = new Map(
  [...PLAIN, ...TIMES, ["expires", "expires"] as const].map(([door, wire]) => [wire, door]),
);

/** The options as they travel in a signature. The deadline and the abort signal of a call do not travel. */
export function optionsToWire(options: SendOptions): Record<string, unknown> {
  const wire: Record<string, unknown> = {};
  for (const [door, name] of PLAIN) if (options[door] !== undefined) wire[name] = options[door];
  for (const [door, name] of TIMES) {
    const value = options[door];
    if (value !== undefined) wire[name] = seconds(value, door);
  }
  const { expires, retry, retryPolicy } = options;
  if (expires !== undefined) {
    wire["expires"] = expires instanceof Date ? expires : seconds(expires, "expires");
  }
  if (options.link !== undefined) wire["link"] = signatures(options.link);
  if (options.linkError !== undefined) wire["link_error"] = signatures(options.linkError);
  if (retry !== undefined) wire["retry"] = retry !== false;
  if (retryPolicy !== undefined) wire["retry_policy"] = policyToWire(retryPolicy);
  return wire;
}

/** One signature or several in wire form. */
export function signatures(link: AnySignature<unknown> | readonly AnySignature<unknown>[]): WireSignature[] {
  return (Array.isArray(link) ? link as readonly AnySignature<unknown>[] : [link as AnySignature<unknown>])
    .map((signature) => {
      if (typeof (signature as Partial<AnySignature<unknown>> | null)?.toJSON === "function") {
        return signature.toJSON();
      }
      throw new InvalidTaskError("signature-invalid", "A link is a signature.", {
        hint: "Make one: task.s(…).",
      });
    });
}

/** What a signature's wire options say: those of ours, what follows the task, and what else a peer wrote. */
export interface WireOptions {
  readonly options: SendOptions;
  readonly callbacks: readonly WireSignature[] | null;
  readonly errbacks: readonly WireSignature[] | null;
  readonly chord: WireSignature | null;
  /** Options without a name of ours: stamps, other AMQP properties. */
  readonly rest: Readonly<Record<string, unknown>>;
}

/**
 * Reads the options of a signature as a peer wrote them: null says nothing, and what follows the task may be one signature or several.
 *
 * @throws {InvalidTaskError} `signature-invalid`: an option that is not of its kind.
 */
export function optionsFromWire(wire: Readonly<Record<string, unknown>>): WireOptions {
  const options: Record<string, unknown> = {};
  const rest: [name: string, value: unknown][] = [];
  for (const [name, given] of Object.entries(wire)) {
    if (FOLLOWS.has(name)) continue;
    const value = wireOption(name, given);
    if (value === undefined) continue;
    const door = TO_DOOR.get(name);
    if (name === "chain") options["chain"] = wireSignatures(value, name);
    else if (door !== undefined) options[door] = value;
    else if (name === "retry") options["retry"] = value === true;
    else if (name === "retry_policy") options["retryPolicy"] = wirePolicy(value);
    else rest.push([name, value]);
  }
  const chord = own(wire, "chord") ?? null;
  return {
    options: options as SendOptions,
    callbacks: wireSignatures(own(wire, "link"), "link"),
    errbacks: wireSignatures(own(wire, "link_error"), "link_error"),
    chord: chord === null ? null : wireSignature(chord, "chord"),
    rest: Object.fromEntries(rest),
  };
}

const FOLLOWS: ReadonlySet<string> = new Set(["link", "link_error", "chord"]);

function seconds(value: Duration, what: string): number {
  return toMs(value, what) / 1000;
}

function policyToWire(policy: RetryPolicy): Record<string, unknown> {
  const wire: Record<string, unknown> = {};
  for (const [door, name] of POLICY) {
    const value = policy[door];
    if (value !== undefined) wire[name] = door === "maxRetries" ? value : seconds(value, door);
  }
  return wire;
}
