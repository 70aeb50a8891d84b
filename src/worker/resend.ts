/**
 * Sends the message of a task again that is to be retried; what cannot be sent is not lost.
 *
 * @module
 */
import type { RetryChanges } from "../app/predicates.ts";
import { RETRY_CHANGES } from "../app/resend.ts";
import type { Verdict } from "../broker.ts";
import { CeleriacError, ConnectionError, PublishError } from "../errors.ts";
import { doze } from "./doze.ts";
import { conclude } from "./execute.ts";
import { keeps, store } from "./keep.ts";
import { exceptionRepr } from "./lines.ts";
import { failed } from "./outcome.ts";
import type { Request } from "./request.ts";
import type { PlannedRetry } from "./retry.ts";
import { goesBack } from "./settle.ts";
import { longer } from "./unsent.ts";

/** A retry goes out however the run ended, as in Celery; but not beside a message that goes back itself. */
export function comesAgain(request: Request): boolean {
  return request.plan !== undefined && request.outcome?.is !== "revoked" && !goesBack(request);
}

/** RETRY is stored first: the next run may be over before this one goes on, and its end must not be overwritten. */
export async function retry(request: Request): Promise<void> {
  const { outcome, plan, acksLate, message, env } = request;
  if (plan === undefined) return;
  try {
    if (outcome?.is === "retry" && keeps(request)) {
      // As Celery has it: the next run is a child of this one.
      request.children.push([[message.id, null], null]);
      await store(request);
    }
    if (acksLate) await send(request, plan);
    else await insist(request, plan);
    request.sent = true;
    env.unsent.forget(request);
  } catch (error) {
    if (!acksLate || !mayPass(request, error)) return conclude(request, failed(error));
    tellUnsent(request, error);
    request.unsent = true;
  }
}

/** Resolves once the broker has it. */
async function send(request: Request, { retry: { options }, eta }: PlannedRetry): Promise<void> {
  const { env, message, delivery: { queue }, scope } = request;
  const { args, kwargs } = options;
  const changes: Record<string, unknown> = {};
  for (const name of RETRY_CHANGES) if (options[name] !== undefined) changes[name] = options[name];
  const change = {
    queue,
    eta,
    args,
    kwargs,
    retries: message.retries + 1,
    options: changes as RetryChanges,
  };
  await env.app.resend(message, change, scope);
}

/**
 * Sends the retry of a task whose message the broker has forgotten: again and again until it is there, or the worker stops. What it throws
 * then is how the task failed.
 */
async function insist(request: Request, plan: PlannedRetry): Promise<void> {
  const { env } = request;
  for (let wait = longer();; wait = longer(wait)) {
    // Asked before the attempt: the last one comes after the wait that the stop cut short.
    const isLast = env.stopping.aborted;
    try {
      return await send(request, plan);
    } catch (error) {
      if (!mayPass(request, error)) throw error;
      tellUnsent(request, error);
      if (isLast || env.stopping.aborted) throw lostRetry(request, error);
    }
    env.state.insist(request);
    await doze(env.clock, wait, env.stopping);
  }
}

/** Whether a repeat may help: the broker could not be asked, or did not take the message as things are. */
function mayPass({ plan }: Request, error: unknown): boolean {
  if (!(error instanceof PublishError)) return error instanceof ConnectionError;
  const verdict = error.cause as Verdict | undefined;
  if (verdict?.is === "refused") return verdict.retry;
  // The queue that it came from may come again. A way that the task has named itself leads nowhere.
  const { exchange, queue, routingKey } = plan?.retry.options ?? {};
  return verdict?.is !== "unroutable" || (exchange ?? queue ?? routingKey) === undefined;
}

/** A warning for each attempt that failed. */
function tellUnsent({ env, label, about }: Request, error: unknown): void {
  const line = `Task ${label} could not send its retry: ${exceptionRepr(failed(error).exception)}`;
  env.logger.log("warning", line, { ...about, code: "retry-unsent", error });
}

/** What has become of a retry that only the worker knew of. */
export function lostRetry({ label }: Request, cause?: unknown): CeleriacError {
  const text = `The retry of ${label} could not be sent before the worker stopped.`;
  return Object.assign(new CeleriacError("retry-lost", text, { cause }), { name: "RetryPublishError" });
}
