/**
 * How a run ended: a value that the steps after it read; nothing downstream catches again.
 *
 * @module
 */
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
  readonly traceback: string;
}

/** How a run ended. */
export type Outcome = Success | Failure;

/** The outcome of a task that returned `value`; JavaScript's undefined is Python's None. */
export function succeeded(value: unknown): Success {
  return { is: "success", value: value === undefined ? null : value };
}

/** The outcome of a task that threw. */
export function failed(error: unknown): Failure {
  return { is: "failure", error, exception: encodeException(error), traceback: tracebackOf(error) };
}

/** An exception of Celery's own, as it is stored: `NotRegistered`, `TaskRevokedError`. */
export function celeryException(type: string, ...message: readonly unknown[]): WireException {
  return { exc_type: type, exc_message: message, exc_module: "celery.exceptions" };
}

/** A failure as the state that is stored for the task, and for those that it concerns. */
export function failureOf(
  outcome: Outcome | undefined,
): { status: "FAILURE"; result: WireException; traceback: string } {
  if (outcome?.is !== "failure") throw new TypeError("The task has not failed.");
  return { status: "FAILURE", result: outcome.exception, traceback: outcome.traceback };
}
