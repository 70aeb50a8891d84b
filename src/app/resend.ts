/**
 * A task's message once more, under the same id, with all that the first one said (celery/app/task.py: `signature_from_request`).
 *
 * @module
 */
import type { WireOptions } from "../canvas/options.ts";
import { copiedHeaders } from "../protocol/copy.ts";
import type { TaskRequest } from "../protocol/task.ts";
import type { CallOptions } from "../result/sender.ts";
import type { Call } from "./compose.ts";
import type { RetryChanges } from "./predicates.ts";

/** What differs from the first message. */
export interface Change {
  /** The queue that it goes to, past the router, unless `options` name a way. */
  readonly queue: string;
  readonly retries: number;
  /** Not before this, ms since the epoch; undefined is at once. */
  readonly eta: number | undefined;
  readonly args: readonly unknown[] | undefined;
  readonly kwargs: Readonly<Record<string, unknown>> | undefined;
  readonly options: RetryChanges;
}

/** The options of a retry that change the message. */
export const RETRY_CHANGES: readonly (keyof RetryChanges)[] = [
  "argsrepr",
  "compression",
  "exchange",
  "expires",
  "headers",
  "kwargsrepr",
  "priority",
  "queue",
  "routingKey",
  "serializer",
  "shadow",
  "softTimeLimit",
  "timeLimit",
];

/** The call that sends the task again. Arguments that are not changed go on in exact form, and with them the texts that stood for them. */
export function resent(message: TaskRequest, change: Change): Call {
  const { queue, eta, options } = change;
  const { args, kwargs } = change.args === undefined || change.kwargs === undefined
    ? message.exact()
    : { args: [], kwargs: {} };
  const { callbacks, errbacks, chain, chord } = message.embed;
  const routed = (options.queue ?? options.exchange ?? options.routingKey) !== undefined;
  return {
    name: message.task,
    args: change.args ?? args,
    kwargs: change.kwargs ?? kwargs,
    options: {
      ...kept(message, change),
      ...(eta === undefined ? {} : { eta: new Date(eta) }),
      ...(chain === null ? {} : { chain }),
      ...options,
      // A task that is its own child would be a loop to whoever walks the results.
      addToParent: false,
      headers: { ...copiedHeaders(message.headers), ...options.headers },
    },
    wire: { options: {}, callbacks, errbacks, chord, rest: rest(message, change.retries) },
    stamps: { names: message.stampedHeaders, values: message.stamps },
    to: routed ? undefined : { exchange: "", routingKey: queue },
  };
}

/** Null says nothing, as in the message. */
function kept(message: TaskRequest, { args, kwargs }: Change): CallOptions {
  const all: { readonly [K in keyof CallOptions]?: CallOptions[K] | null | undefined } = {
    taskId: message.id,
    rootId: message.rootId,
    parentId: message.parentId,
    groupId: message.group,
    groupIndex: message.groupIndex,
    shadow: message.shadow,
    priority: message.priority,
    // Celery writes "" for none.
    replyTo: message.replyTo || null,
    ignoreResult: message.ignoreResult,
    argsrepr: args === undefined ? message.argsrepr : undefined,
    kwargsrepr: kwargs === undefined ? message.kwargsrepr : undefined,
    expires: expiresOf(message),
    timeLimit: message.timeLimit === null ? null : message.timeLimit / 1000,
    softTimeLimit: message.softTimeLimit === null ? null : message.softTimeLimit / 1000,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => (value ?? null) !== null));
}

/** The text goes on as it came where it is of the form that Celery writes. */
function expiresOf({ expires, expiresText }: TaskRequest): CallOptions["expires"] {
  if (expires === null || expiresText === null) return undefined;
  return /^\d{4}-/.test(expiresText) ? expiresText as CallOptions["expires"] : new Date(expires);
}

/** No stamp among them: one may be named like any of these. */
function rest(message: TaskRequest, retries: number): WireOptions["rest"] {
  const { origin, replacedTaskNesting } = message;
  return { retries, origin, replaced_task_nesting: replacedTaskNesting };
}
