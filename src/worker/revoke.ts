/**
 * Revokes tasks at one worker: what waits, what runs, what is still to come (celery/worker/control.py `revoke`).
 *
 * @module
 */
import { headersOf, keepRevoked, revokeStamped, storeRevoked } from "../app/revoke.ts";
import { TaskRevokedError } from "../errors.ts";
import { checkOptionNames } from "../lib/options.ts";
import { type StampedHeaders, stampsOf } from "../result/revoke.ts";
import type { TaskConsumer } from "./consumer.ts";
import type { Env } from "./env.ts";
import { exceptionRepr, printable } from "./lines.ts";
import { failed } from "./outcome.ts";
import type { Request } from "./request.ts";
import { type Revocable, signalName, stampsOfMessage } from "./revokes.ts";

/** How tasks are revoked. */
export interface RevokeOptions {
  /** Whether those that run are told to end. @default false */
  readonly terminate?: boolean;
  /** The signal that Celery would send its process; here only its name is told. @default "SIGTERM" */
  readonly signal?: string;
}

/** What is revoked. */
export type Targets =
  | { readonly ids: readonly string[]; readonly headers?: never }
  | { readonly headers: StampedHeaders; readonly ids?: never };

/** Resolves, when all is stored, with the ids that were terminated. */
export async function revokeIn(
  env: Env,
  consumer: TaskConsumer | undefined,
  targets: Targets,
  options: RevokeOptions,
): Promise<readonly string[]> {
  checkOptionNames("revoke()", options, ["terminate", "signal"]);
  const { terminate = false, signal } = options;
  if (targets.ids === undefined) env.revokes.addStamped(headersOf(targets.headers));
  else {
    env.revokes.add(targets.ids);
    env.probe?.revoked?.(targets.ids);
  }
  const meant = among(targets);
  const running = [...env.state.active].filter(({ message }) => meant(message));
  const kept = keep(env, targets);
  // The end of a task must not be stored before that it is revoked.
  for (const request of running) request.behind(kept);
  if (terminate) { for (const request of running) end(request, signalName(signal)); }
  else if (targets.ids !== undefined) {
    const line = `Tasks flagged as revoked: ${targets.ids.map(printable).join(", ")}`;
    env.logger.log("info", line, { taskIds: targets.ids });
  }
  consumer?.discardRevoked(kept);
  await kept;
  return terminate ? running.map(({ message }) => message.id) : [];
}

function among({ ids, headers }: Targets): (message: Revocable) => boolean {
  if (ids !== undefined) return ({ id }) => ids.includes(id);
  const stamps = new Set(stampsOf(headers));
  return (message) => stampsOfMessage(message).some((stamp) => stamps.has(stamp));
}

function end(request: Request, signal: string): void {
  const { env: { logger }, about, message } = request;
  logger.log("info", `Terminating ${printable(message.id)} (Signals.${signal})`, about);
  request.abort(new TaskRevokedError(message.id, signal));
}

/** In the backend, where there is one: for other workers, and for this one when it has forgotten. */
async function keep({ app, backend, logger }: Env, { ids, headers }: Targets): Promise<void> {
  if (backend === undefined) return;
  const { facts } = backend;
  try {
    if (ids !== undefined) {
      if (facts !== undefined) await keepRevoked(app, facts, ids);
      await storeRevoked(app, ids);
    } else if (facts !== undefined) await revokeStamped(app, headers);
  } catch (error) {
    const reason = exceptionRepr(failed(error).exception);
    const line = `Couldn't keep in the backend what is revoked: ${reason}`;
    logger.log("warning", line, { code: "revoke-unkept", error });
  }
}
