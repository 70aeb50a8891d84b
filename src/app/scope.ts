/**
 * Who sends: the explicit app, else the async context's, else the app that declared the task.
 *
 * @module
 */
import type { Context } from "../lib/port.ts";
import type { AppInner, SendScope } from "./inner.ts";

/** What the async context holds outside of tasks, where `fork().run()` names the sender. */
export interface SenderScope {
  readonly app: AppInner;
  readonly taskId?: undefined;
}

/** The scope of the caller, where the async context holds one of ours. */
export function currentScope(context: Context): SendScope | SenderScope | undefined {
  const current = context.current();
  return isScope(current) ? current : undefined;
}

function isScope(value: unknown): value is SendScope | SenderScope {
  return typeof value === "object" && value !== null && "app" in value;
}

/** The running task among the scopes: what a send inside it inherits from. */
export function parentOf(scope: SendScope | SenderScope | undefined): SendScope | undefined {
  return scope?.taskId === undefined ? undefined : scope;
}
