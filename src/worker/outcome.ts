/**
 * How a run ended: a value that the steps after it read; nothing downstream catches again.
 *
 * @module
 */
import { Ignore, Reject, type Retry } from "../app/predicates.ts";
import type { ErrorMatch } from "../app/task.ts";
import { encodeException, tracebackOf } from "../protocol/exception.ts";
import type { WireException } from "../protocol/exception.ts";

/** The task returned. */
export interface Success {
  readonly is: "success";
  /** What it returned; null where it returned nothing. */
  readonly value: unknown;
}

/** The task threw, or its result or what follows it could not be sent. */
export interface Failure {
  readonly is: "failure";
  readonly error: unknown;
  /** The error as it is stored. */
  readonly exception: WireException;
  /** Null where nothing was thrown. */
  readonly traceback: string | null;
}

/** The task runs again later. */
export interface Retried {
  readonly is: "retry";
  readonly retry: Retry;
  readonly traceback: string;
}

/** The task wants nothing said of its end. */
export interface Ignored {
  readonly is: "ignored";
}

/** The task rejects its message. */
export interface Rejected extends Omit<Failure, "is"> {
  readonly is: "rejected";
  /** Back to its queue, and nothing is stored; else it has failed. */
  readonly requeue: boolean;
}

/** The task was revoked, and ended early for that. */
export interface Revocation {
  readonly is: "revoked";
  /** The error as it is stored. */
  readonly exception: WireException;
}

/** How a run ended. */
export type Outcome = Success | Failure | Retried | Ignored | Rejected | Revocation;

/** The outcome of a task that returned `value`; JavaScript's undefined is Python's None. */
export function succeeded(value: unknown): Success {
  return { is: "success", value: value === undefined ? null : value };
}

/** The outcome of a task that threw. */
export function failed(error: unknown): Failure {
  return { is: "failure", error, exception: encodeException(error), traceback: tracebackOf(error) };
}

/** The outcome of a task that asked to be run again. */
export function retried(retry: Retry): Retried {
  return { is: "retry", retry, traceback: tracebackOf(retry) };
}

/** The outcome of what a task threw to say how it ends, or undefined. A message that was acked early cannot go back any more. */
export function askedFor(error: unknown, acksLate: boolean): Ignored | Rejected | undefined {
  if (error instanceof Ignore) return { is: "ignored" };
  if (!(error instanceof Reject)) return undefined;
  return { ...failed(error), is: "rejected", requeue: error.requeue && acksLate };
}

/** The outcome of a task that was revoked: "revoked", "terminated" or "expired". */
export function revoked(why: string): Revocation {
  return { is: "revoked", exception: celeryException("TaskRevokedError", why) };
}

/** An exception of Celery's own, as it is stored: `NotRegistered`, `TaskRevokedError`. */
export function celeryException(type: string, ...message: readonly unknown[]): WireException {
  return { exc_type: type, exc_message: message, exc_module: "celery.exceptions" };
}

/** Whether the task has failed for good: FAILURE is stored, and those that it concerns learn of it. */
export function hasFailed(outcome: Outcome | undefined): outcome is Failure | Rejected {
  return outcome?.is === "failure" || (outcome?.is === "rejected" && !outcome.requeue);
}

/** A failure as the state that is stored for the task, and for those that it concerns. */
export function failureOf(
  outcome: Outcome | undefined,
): { status: "FAILURE"; result: WireException; traceback: string | null } {
  if (!hasFailed(outcome)) throw new TypeError("The task has not failed.");
  return { status: "FAILURE", result: outcome.exception, traceback: outcome.traceback };
}

/** A retry as the state that is stored meanwhile: what caused it, null where nothing did. */
export function retryOf(
  { retry, traceback }: Retried,
): { status: "RETRY"; result: WireException | null; traceback: string } {
  const { error } = retry.options;
  return { status: "RETRY", result: error === undefined ? null : encodeException(error), traceback };
}

/** Whether the error is one of these: of the class, or of the name. */
export function isOneOf(error: unknown, matches: readonly ErrorMatch[]): boolean {
  if (matches.length === 0) return false;
  const name = encodeException(error).exc_type;
  return matches.some((match) => typeof match === "string" ? match === name : error instanceof match);
}
