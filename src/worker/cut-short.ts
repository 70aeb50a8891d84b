/**
 * Runs that a cold shutdown cut short.
 *
 * @module
 */
import { WorkerShutdownError } from "../errors.ts";
import type { Request } from "./request.ts";

/**
 * Whether what the run threw is its answer to a cold shutdown, so that its message, acked late, is to go back: the task has asked for its
 * signal, or the signal's own reason was thrown. A task that never looked has failed by itself.
 */
export function isCutShort({ acksLate, aborted, watched }: Request, error: unknown): boolean {
  return acksLate && aborted instanceof WorkerShutdownError && (watched || error === aborted);
}
