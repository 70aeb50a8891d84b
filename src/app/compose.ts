/**
 * What an app's messages say beyond those of a plain sender: what follows the task, what a peer's signature holds, and the parent.
 *
 * @module
 */
import type { Destination } from "../broker.ts";
import { signatures, type WireOptions } from "../canvas/options.ts";
import { checkOptionNames } from "../lib/options.ts";
import { demandText } from "../lib/demand.ts";
import { CALL_OPTIONS as PLAIN_OPTIONS, type Sending, specOf } from "../producer/spec.ts";
import { isInstant } from "../protocol/instant.ts";
import { type Embed, NO_EMBED, type WireSignature } from "../protocol/signature.ts";
import type { TaskSpec } from "../protocol/task.ts";
import type { CallOptions } from "../result/sender.ts";
import { checkLimits } from "./task-rules.ts";

/** One call, before anything is resolved. */
export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly options: CallOptions;
  /** What else a peer wrote into the signature that is sent. */
  readonly wire?: WireOptions | undefined;
  /** The stamps; where there are none here, they stand among the options of `wire`. */
  readonly stamps?: Stamps | undefined;
  /** Where it goes, past the router. */
  readonly to?: Destination | undefined;
}

/** What a message is stamped with. */
interface Stamps {
  readonly names: readonly string[] | null;
  readonly values: Readonly<Record<string, unknown>>;
}

/** No options: shared, so that the commonest call allocates none. */
export const NO_OPTIONS: CallOptions = Object.freeze({});

/** No keyword arguments. */
export const NO_KWARGS: Readonly<Record<string, unknown>> = Object.freeze({});

/** The spec of the message; `instant` writes an instant in a zone that is not UTC. */
export function appSpec(
  call: Call,
  sending: Omit<Sending, "embed" | "group">,
  instant: ((ms: number) => string) | undefined,
): TaskSpec {
  const { name, args, kwargs, options, wire } = call;
  if (options === NO_OPTIONS && wire === undefined) return specOf(name, args, kwargs, options, sending);
  const { expires, groupId: group } = options;
  const embed = embedOf(options, wire);
  // A signature that a peer sent holds ISO text, which goes on as it came.
  const text = typeof expires === "string" && ISO_START.test(expires) ? expires : undefined;
  const plain = text === undefined ? options : { ...options, expires: undefined };
  const spec = specOf(name, args, kwargs, plain as CallOptions, { ...sending, embed, group });
  // What a peer says is its own affair: it must be possible to retry it.
  if (wire === undefined) checkLimits(`The call of ${name}`, spec.timeLimit, spec.softTimeLimit);
  const stamps = call.stamps ?? (wire === undefined ? undefined : stampsOf(wire.rest));
  const written = (at: TaskSpec["eta"]): TaskSpec["eta"] =>
    instant !== undefined && typeof at === "number" && isInstant(at) ? instant(at) : at;
  return {
    ...spec,
    eta: written(spec.eta),
    expires: text ?? written(spec.expires),
    origin: textIn(wire?.rest, "origin") ?? spec.origin,
    retries: wire === undefined ? undefined : numberIn(wire.rest, "retries"),
    replacedTaskNesting: wire === undefined ? undefined : numberIn(wire.rest, "replaced_task_nesting"),
    stampedHeaders: stamps?.names,
    stamps: stamps?.values,
  };
}

const ISO_START = /^\d{4}-/;

/** Throws `ConfigurationError` "option-unknown" for an option that no call has, "option-invalid" for a way that is no text. */
export function checkOptions(options: CallOptions): void {
  checkOptionNames("A call", options, CALL_OPTIONS);
  const { exchange, queue, routingKey, taskId } = options;
  demandText(queue, "queue");
  demandText(taskId, "taskId");
  // AMQP's default exchange is "", and so may a key be.
  if (exchange !== "") demandText(exchange, "exchange");
  if (routingKey !== "") demandText(routingKey, "routingKey");
}

/** The options of a call; `args` is one of `sendTask`'s. */
const CALL_OPTIONS: readonly string[] = [
  ...PLAIN_OPTIONS,
  "addToParent",
  "chain",
  "compression",
  "exchange",
  "groupId",
  "groupIndex",
  "link",
  "linkError",
  "retryPolicy",
  "routingKey",
  "serializer",
];

function embedOf(options: CallOptions, wire: WireOptions | undefined): Embed {
  const callbacks = follow(
    wire?.callbacks,
    options.link === undefined ? undefined : signatures(options.link),
  );
  const errbacks = follow(
    wire?.errbacks,
    options.linkError === undefined ? undefined : signatures(options.linkError),
  );
  const chain = options.chain === undefined || options.chain.length === 0 ? null : options.chain;
  const chord = wire?.chord ?? null;
  return callbacks === null && errbacks === null && chain === null && chord === null
    ? NO_EMBED
    : { callbacks, errbacks, chain, chord };
}

function follow(
  first: readonly WireSignature[] | null | undefined,
  then: readonly WireSignature[] | undefined,
): readonly WireSignature[] | null {
  const all = [...first ?? [], ...then ?? []];
  return all.length === 0 ? null : all;
}

function textIn(rest: Readonly<Record<string, unknown>> | undefined, name: string): string | undefined {
  const value = rest?.[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function numberIn(rest: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = rest[name];
  return typeof value === "number" ? value : undefined;
}

/** Stamps travel in a signature among its options, under their own names. */
function stampsOf(rest: Readonly<Record<string, unknown>>): Stamps | undefined {
  const stamped = rest["stamped_headers"];
  if (!Array.isArray(stamped)) return undefined;
  const names = stamped as readonly string[];
  const own = names.filter((name) => Object.hasOwn(rest, name));
  return { names, values: Object.fromEntries(own.map((name) => [name, rest[name]])) };
}
