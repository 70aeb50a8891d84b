/**
 * From a call to what a task message says: Celery's `apply_async` and `send_task` (celery/app/task.py, base.py, amqp.py).
 *
 * @module
 */
import { signatures, type WireOptions } from "../canvas/options.ts";
import { ConfigurationError, TaskArgumentError } from "../errors.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import { didYouMean } from "../lib/suggest.ts";
import { isInstant } from "../protocol/instant.ts";
import { type Embed, NO_EMBED, type WireSignature } from "../protocol/signature.ts";
import type { TaskSpec } from "../protocol/task.ts";
import type { CallOptions } from "../result/sender.ts";
import type { SendScope } from "./inner.ts";
import type { Settings } from "./settings.ts";

/** One call, before anything is resolved. */
export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly options: CallOptions;
  /** What else a peer wrote into the signature that is sent. */
  readonly wire?: WireOptions | undefined;
}

/** What the sending app knows. */
export interface Sending {
  readonly settings: Settings;
  readonly id: string;
  readonly origin: string;
  readonly replyTo: string;
  /** ms since the epoch. */
  readonly now: number;
  /** Undefined where instants are written in UTC. */
  readonly instant: ((ms: number) => string) | undefined;
  readonly parent: SendScope | undefined;
  /** What the route says. */
  readonly priority: number | undefined;
}

/** No options: shared, so that the commonest call allocates none. */
export const NO_OPTIONS: CallOptions = Object.freeze({});

/** No keyword arguments. */
export const NO_KWARGS: Readonly<Record<string, unknown>> = Object.freeze({});

/** The spec of the message: one literal of one shape, since every message passes here. */
export function specOf(call: Call, sending: Sending): TaskSpec {
  const { options, wire } = call;
  const { settings, parent } = sending;
  const plain = options === NO_OPTIONS && wire === undefined;
  const stamps = wire === undefined ? undefined : stampsOf(wire.rest);
  return {
    task: call.name,
    id: sending.id,
    args: call.args,
    kwargs: call.kwargs,
    embed: plain ? NO_EMBED : embedOf(options, wire),
    origin: sending.origin,
    replyTo: options.replyTo ?? sending.replyTo,
    rootId: options.rootId ?? parent?.rootId,
    parentId: options.parentId === undefined ? parent?.taskId : options.parentId,
    group: options.groupId,
    groupIndex: options.groupIndex,
    eta: plain ? undefined : etaOf(options, sending),
    expires: plain ? undefined : expiresOf(options, sending),
    now: sending.now,
    retries: undefined,
    timeLimit: timeOf(options.timeLimit, "timeLimit"),
    softTimeLimit: timeOf(options.softTimeLimit, "softTimeLimit"),
    shadow: options.shadow,
    argsrepr: options.argsrepr,
    kwargsrepr: options.kwargsrepr,
    ignoreResult: options.ignoreResult,
    replacedTaskNesting: numberIn(wire?.rest, "replaced_task_nesting"),
    stampedHeaders: stamps?.names,
    stamps: stamps?.values,
    priority: sending.priority ?? inherited(settings, parent) ?? settings.taskDefaultPriority,
    deliveryMode: settings.taskDefaultDeliveryMode,
    headers: options.headers,
  };
}

/** Arguments without what JavaScript leaves undefined at their end. Throws `TaskArgumentError` "argument-undefined" elsewhere. */
export function definedArgs(task: string, args: readonly unknown[]): readonly unknown[] {
  let length = args.length;
  while (length > 0 && args[length - 1] === undefined) length--;
  for (let at = 0; at < length; at++) {
    if (args[at] === undefined) {
      throw new TaskArgumentError(
        "argument-undefined",
        `Argument ${at + 1} of ${task}() is undefined, which has no form on the wire.`,
        {
          hint: "Send null, or leave out arguments at the end.",
        },
      );
    }
  }
  return length === args.length ? args : args.slice(0, length);
}

/** Keyword arguments without those that are undefined: by name, absent and undefined are the same. */
export function definedKwargs(kwargs: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (kwargs === NO_KWARGS) return kwargs;
  const defined = Object.entries(kwargs).filter(([, value]) => value !== undefined);
  return defined.length === Object.keys(kwargs).length ? kwargs : Object.fromEntries(defined);
}

/** Throws `ConfigurationError` "option-unknown" for an option that no call has, "option-invalid" for a way that is no text. */
export function checkOptions(options: object, names: ReadonlySet<string>): void {
  for (const name of Object.keys(options)) {
    if (names.has(name)) continue;
    const hint = didYouMean(name, names) ?? "Names are those of Celery's apply_async in camelCase.";
    throw new ConfigurationError(
      "option-unknown",
      `There is no option ${JSON.stringify(name.slice(0, 80))} of a call.`,
      { hint },
    );
  }
  const { queue, exchange, routingKey, taskId } = options as CallOptions;
  checkText(queue, "queue");
  checkText(taskId, "taskId");
  // AMQP's default exchange is "", and so may a key be.
  if (exchange !== "") checkText(exchange, "exchange");
  if (routingKey !== "") checkText(routingKey, "routingKey");
}

function checkText(value: unknown, name: string): void {
  if (value === undefined || (typeof value === "string" && value !== "")) return;
  throw new ConfigurationError(
    "option-invalid",
    `The option ${name} of a call must be a text that is not empty.`,
  );
}

/** The options of a call; `args` is one of `sendTask`'s. */
export const CALL_OPTIONS: ReadonlySet<string> = new Set(
  ("args kwargs taskId countdown eta expires queue exchange routingKey priority serializer compression headers link linkError shadow " +
    "argsrepr kwargsrepr timeLimit softTimeLimit ignoreResult replyTo rootId parentId groupId groupIndex addToParent retry retryPolicy " +
    "chain timeout signal").split(" "),
);

function inherited(settings: Settings, parent: SendScope | undefined): number | undefined {
  return settings.taskInheritParentPriority ? parent?.priority : undefined;
}

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

/** `countdown` wins over `eta`, and 0 is none, both as in Celery. */
function etaOf({ countdown, eta }: CallOptions, sending: Sending): number | string | undefined {
  const wait = timeOf(countdown, "countdown");
  if (wait !== undefined && wait !== 0) return written(sending.now + wait, sending);
  return eta instanceof Date ? written(eta.getTime(), sending) : eta;
}

function expiresOf({ expires }: CallOptions, sending: Sending): number | string | undefined {
  if (expires === undefined) return undefined;
  if (expires instanceof Date) return written(expires.getTime(), sending);
  // A signature that a peer sent holds ISO text, which goes on as it came.
  if (typeof expires === "string" && ISO_START.test(expires)) return expires;
  return written(sending.now + toMs(expires, "expires"), sending);
}

const ISO_START = /^\d{4}-/;

function written(ms: number, { instant }: Sending): number | string {
  return instant === undefined || !isInstant(ms) ? ms : instant(ms);
}

function timeOf(value: Duration | undefined, what: string): number | undefined {
  return value === undefined ? undefined : toMs(value, what);
}

function numberIn(rest: Readonly<Record<string, unknown>> | undefined, name: string): number | undefined {
  const value = rest?.[name];
  return typeof value === "number" ? value : undefined;
}

/** Stamps travel in a signature among its options, under their own names. */
function stampsOf(
  rest: Readonly<Record<string, unknown>>,
): { readonly names: readonly string[]; readonly values: Readonly<Record<string, unknown>> } | undefined {
  const stamped = rest["stamped_headers"];
  if (!Array.isArray(stamped)) return undefined;
  const names = stamped as readonly string[];
  const own = names.filter((name) => Object.hasOwn(rest, name));
  return { names, values: Object.fromEntries(own.map((name) => [name, rest[name]])) };
}
