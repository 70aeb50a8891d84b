/**
 * Faults of the worker's own: they end no worker, and leave nobody waiting.
 *
 * @module
 */
import { concernsOthers, tellOthers } from "./follow.ts";
import { exceptionRepr } from "./lines.ts";
import { failed, failureOf } from "./outcome.ts";
import { recordOf } from "./record.ts";
import type { Request } from "./request.ts";

/**
 * A fault of ours, not of the task: told, and the task fails, unless how it ended is `kept` already. A message that is still unsettled is
 * rejected then: given out again it would meet the same fault. Never throws.
 */
export async function collapse(request: Request, error: unknown, kept = false): Promise<void> {
  tell(request, error);
  try {
    if (!kept) await fail(request, error);
  } catch (another) {
    tell(request, another);
  }
  void request.release({ as: kept ? "ack" : "reject" });
}

async function fail(request: Request, error: unknown): Promise<void> {
  request.outcome = failed(error);
  if (request.keepsErrors) await request.write(recordOf(request, failureOf(request.outcome)));
  if (concernsOthers(request)) await tellOthers(request);
}

function tell({ env, about, label }: Request, error: unknown): void {
  const { exception, traceback } = failed(error);
  const line = `Task ${label} INTERNAL ERROR: ${exceptionRepr(exception)}`;
  env.logger.log("critical", line, { ...about, error, traceback });
}
