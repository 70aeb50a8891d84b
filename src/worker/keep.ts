/**
 * The end of a run as the backend keeps it.
 *
 * @module
 */
import type { ResultRecord } from "../backend.ts";
import { conclude } from "./execute.ts";
import { failed, failureOf, hasFailed, retryOf } from "./outcome.ts";
import { recordOf } from "./record.ts";
import type { Request } from "./request.ts";

/** How long a message stays unsettled that waits for its result to be stored, ms. */
const UNSTORED = 300_000;

/** RETRY was stored before the message went out, and a known success is there already. */
export function isNews({ known, outcome }: Request): boolean {
  return known === undefined && outcome?.is !== "retry";
}

/** Whether the backend is to have it. */
export function keeps({ ignoresResult, keepsErrors, outcome, env }: Request): boolean {
  if (env.backend === undefined) return false;
  if (outcome?.is === "success") return !ignoresResult;
  return keepsErrors && (outcome?.is === "retry" || outcome?.is === "revoked" || hasFailed(outcome));
}

/** Stores how it ended; false in `request.stored` where that could not be done. */
export async function store(request: Request): Promise<void> {
  const record = finalRecord(request);
  request.weight = record.text.length;
  const stored = await request.write(record, patienceOf(request));
  // That it is retried is nothing to wait for: the next run has the last word.
  request.stored = stored || request.outcome?.is === "retry";
}

/** How long the task waits for its result to be stored, where the backend is in trouble, ms. */
function patienceOf({ acksLate, env: { settings }, outcome }: Request): number | undefined {
  if (outcome?.is === "retry") return undefined;
  if (acksLate && !settings.taskAcksOnStoreFailure) return UNSTORED;
  return settings.resultBackendAlwaysRetry ? Infinity : undefined;
}

function finalRecord(request: Request): ResultRecord {
  const { outcome } = request;
  if (outcome?.is === "success") {
    try {
      return recordOf(request, { status: "SUCCESS", result: outcome.value, traceback: null });
    } catch (error) {
      // EncodeError: the result has no JSON form.
      conclude(request, failed(error));
      return finalRecord(request);
    }
  }
  if (outcome?.is === "revoked") {
    return recordOf(request, { status: "REVOKED", result: outcome.exception, traceback: null });
  }
  return recordOf(request, outcome?.is === "retry" ? retryOf(outcome) : failureOf(outcome));
}
