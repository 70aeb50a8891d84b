/**
 * What a worker tells the hooks of its app, and the run within its middleware. Each is one look where nobody listens.
 *
 * @module
 */
import type { HookEvents } from "../app/hook-events.ts";
import type { Delivery } from "../broker.ts";
import type { Hooks } from "../app/hooks.ts";
import type { Env } from "./env.ts";
import type { Outcome } from "./outcome.ts";
import type { Request } from "./request.ts";
import { RunningTask } from "./running.ts";

type Told = Promise<unknown> | undefined;

/** News of a task in hand that say no more than which. */
export function tell(request: Request, name: "taskReceived" | "taskPrerun"): Told {
  const { hooks } = request.env.app;
  return hooks.any ? hooks.tell(name, { task: new RunningTask(request) }, request.task.name) : undefined;
}

/** The task will not run, or was ended. */
export function tellRevoked(request: Request, reason: HookEvents["taskRevoked"]["reason"]): void {
  const { hooks } = request.env.app;
  if (hooks.any) {
    void hooks.tell("taskRevoked", { task: new RunningTask(request), reason }, request.task.name);
  }
}

/**
 * The task is at its end: first what came of it, then that it is over. A promise where somebody is to be waited for. What did not run and has
 * succeeded has done so before, and was told of then.
 */
export function tellEnd(request: Request, ran: boolean): Told {
  const { env, outcome, task: { name } } = request;
  const { hooks } = env.app;
  if (!hooks.any || outcome === undefined || (!ran && outcome.is === "success")) return undefined;
  const task = new RunningTask(request);
  const runtime = ran ? (env.clock.elapsed() - request.began) / 1000 : 0;
  const postrun = (): Told => hooks.tell("taskPostrun", { task, runtime, state: stateOf(outcome) }, name);
  const first = tellOutcome(hooks, outcome, { task, runtime }, name);
  return first === undefined ? postrun() : first.then(postrun);
}

/** No task of that name is registered here. */
export function tellUnknown(env: Env, { message, queue }: Delivery, name: string, id: unknown): void {
  const { hooks } = env.app;
  if (!hooks.any) return;
  void hooks.tell("taskUnknown", { name, id: typeof id === "string" ? id : undefined, message, queue }, name);
}

/** The message is no task that this worker can or may read. */
export function tellRejected(env: Env, { message, queue }: Delivery, error: unknown): void {
  const { hooks } = env.app;
  if (hooks.any) void hooks.tell("taskRejected", { error, message, queue });
}

/** The run, within the middleware that stands around it. */
export function runWithin(request: Request, invoke: () => unknown): unknown {
  const { hooks } = request.env.app;
  return hooks.any ? hooks.run(new RunningTask(request), invoke) : invoke();
}

function tellOutcome(
  hooks: Hooks,
  outcome: Outcome,
  event: HookEvents["taskPrerun"] & { runtime: number },
  name: string,
): Told {
  switch (outcome.is) {
    case "success":
      return hooks.tell("taskSuccess", { ...event, result: outcome.value }, name);
    case "retry":
      return hooks.tell(
        "taskRetry",
        { ...event, reason: outcome.retry.options.error ?? outcome.retry },
        name,
      );
    case "failure":
      return hooks.tell("taskFailure", { ...event, error: outcome.error }, name);
    case "rejected":
      return outcome.requeue
        ? undefined
        : hooks.tell("taskFailure", { ...event, error: outcome.error }, name);
    case "revoked": {
      const why = outcome.exception.exc_message[0];
      const reason = why === "expired" || why === "revoked" ? why : "terminated";
      return hooks.tell("taskRevoked", { task: event.task, reason }, name);
    }
    case "ignored":
      return undefined;
  }
}

/** Celery's names of the states. */
function stateOf(outcome: Outcome): string {
  return outcome.is === "rejected" && !outcome.requeue ? "FAILURE" : outcome.is.toUpperCase();
}
