/**
 * Stored text as a record of the contract.
 *
 * @module
 */
import type { ResultRecord } from "../../src/backend.ts";
import { resultStatus } from "../../src/protocol/result.ts";

/** A record, or why the text is none. */
export type Found = ResultRecord | Error;

/** Reads no more of the text than its status. */
export function readRecord(taskId: string, text: string): Found {
  try {
    return { taskId, status: resultStatus(text), text };
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
