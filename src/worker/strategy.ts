/**
 * What to do with a message: a pure function of what was read from it and of the time.
 *
 * @module
 */
import type { TaskDefinition } from "../app/inner.ts";
import { ContentDisallowedError, DecodeError, InvalidTaskError } from "../errors.ts";
import type { Embed, WireSignature } from "../protocol/signature.ts";
import type { TaskRequest } from "../protocol/task.ts";

/** What is done with a message, and why. */
export type Decision =
  /** Ran as soon as there is a slot. */
  | { readonly do: "run"; readonly task: TaskDefinition }
  /** Kept unsettled until its ETA, ms since the epoch. */
  | { readonly do: "hold"; readonly task: TaskDefinition; readonly until: number }
  /** Never ran: fails with this sentence, and what follows it learns so. */
  | { readonly do: "refuse"; readonly task: TaskDefinition; readonly reason: string }
  /** Acked and stored as REVOKED. */
  | { readonly do: "discard"; readonly task: TaskDefinition; readonly why: "expired" }
  /** Rejected; an unregistered task is stored as failed. */
  | { readonly do: "reject"; readonly why: "unregistered" | "unknown" | "content" | "invalid" }
  /** Acked: nobody can read it. */
  | { readonly do: "drop"; readonly why: "undecodable" };

/**
 * Decides about a task that was read. The order is Celery's (`worker/strategy.py`): expiry before ETA.
 *
 * @param now wall time, ms since the epoch
 */
export function decide(request: TaskRequest, task: TaskDefinition | undefined, now: number): Decision {
  if (task === undefined) return { do: "reject", why: "unregistered" };
  if (expired(request, now)) return { do: "discard", task, why: "expired" };
  const reason = unfollowable(request.embed);
  if (reason !== undefined) return { do: "refuse", task, reason };
  if (request.eta !== null && request.eta > now) return { do: "hold", task, until: request.eta };
  return { do: "run", task };
}

/** What a worker may do with tasks whose time has not come. Durations in ms. */
export interface Patience {
  /** A task that is due within this time may be held (`workerParkAfter`). */
  readonly near: number;
  /** So many of one queue may be held. */
  readonly room: number;
  /** The longest park of the broker; 0 where it has none. */
  readonly longest: number;
}

/**
 * Whether a task is held until its time, or parked in the broker: held when it is due soon and few are held, for what is held is lost from
 * sight with the worker, fills its window, and meets RabbitMQ's `consumer_timeout`. Where the broker cannot park, all are held.
 *
 * @param until when it is due, ms since the epoch; further away than the longest park it comes back to be parked again
 * @param held how many of its queue are held
 */
export function putOff(
  until: number,
  now: number,
  held: number,
  { near, room, longest }: Patience,
): { readonly as: "hold" } | { readonly as: "park"; readonly until: number } {
  if (longest <= 0 || (until - now <= near && held < room)) return { as: "hold" };
  return { as: "park", until: parkable(until, now, longest) };
}

/**
 * Until when the broker keeps what is to wait until `until`: no longer than its longest park, and a little less than that, since it asks its own
 * clock. Where it does not park (`longest` 0), as asked.
 */
export function parkable(until: number, now: number, longest: number): number {
  return longest <= 0 ? until : Math.min(until, now + Math.floor(longest * 0.99));
}

/** Decides about a message that could not be read (`on_unknown_message`, `on_invalid_task`, `on_decode_error`). */
export function decideUnread(error: unknown): Decision {
  if (error instanceof ContentDisallowedError) return { do: "reject", why: "content" };
  if (error instanceof InvalidTaskError) {
    return { do: "reject", why: error.code === "task-unknown-message" ? "unknown" : "invalid" };
  }
  if (error instanceof DecodeError) return { do: "drop", why: "undecodable" };
  return { do: "reject", why: "invalid" };
}

/** Whether the task's time is over at `now`: Celery asks `now > expires`, on receipt and again before it runs. */
export function expired(request: TaskRequest, now: number): boolean {
  return request.expires !== null && now > request.expires;
}

/**
 * Why what follows the task cannot be followed here, or undefined. Told before the run: a lost flow is worse than a loud failure. Of the
 * chain only its last element, the next task, is ours to send; the others travel on with it.
 */
function unfollowable({ callbacks, errbacks, chain, chord }: Embed): string | undefined {
  if (chord !== null) return "it is part of a chord";
  const plural = [
    ...kinds("link", callbacks),
    ...kinds("link_error", errbacks),
    ...kinds("chain", chain?.slice(-1)),
  ];
  if (plural[0] !== undefined) return plural[0];
  return chain?.some(inChord) ? "its chain is part of a chord" : undefined;
}

function kinds(name: string, signatures: readonly WireSignature[] | null | undefined): string[] {
  return (signatures ?? []).filter((signature) => signature.subtask_type !== null || inChord(signature))
    .map((signature) => `its ${name} holds a ${signature.subtask_type ?? "part of a chord"}`);
}

/** Such a task must be counted, whether it runs or not. */
function inChord(signature: WireSignature): boolean {
  return (signature.options["chord"] ?? null) !== null;
}
