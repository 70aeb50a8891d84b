/**
 * Tasks that are not run because they are revoked, or because their time is over.
 *
 * @module
 */
import { collapse } from "./collapse.ts";
import { printable } from "./lines.ts";
import { celeryException } from "./outcome.ts";
import { recordOf } from "./record.ts";
import type { Request } from "./request.ts";
import type { Revoked } from "./revokes.ts";
import { tellRevoked } from "./tell.ts";

/**
 * Ends a task that will not run; `revoked` says by what it is revoked, and without it the task has expired. Celery remembers the ids of those
 * as revoked too (`maybe_expire`): here they would push out what was revoked.
 */
export function discard(request: Request, revoked?: Revoked): void {
  const { env } = request;
  env.state.drop(request);
  void env.during(end(request, revoked).catch((error: unknown) => collapse(request, error)));
}

/** The ack waits for the store: what comes next has no room in the window before, however slow the backend is. */
async function end(request: Request, revoked: Revoked | undefined): Promise<void> {
  const { env, delivery, label, about } = request;
  const why = revoked === undefined ? "expired" : "revoked";
  const by = revoked?.stamp === undefined ? "" : ` (revoked by header: ${printable(revoked.stamp)})`;
  env.logger.log("info", `Discarding revoked task: ${label}${by}`, about);
  const result = celeryException("TaskRevokedError", why);
  const written = request.keepsErrors
    ? request.write(recordOf(request, { status: "REVOKED", result, traceback: null }))
    : undefined;
  tellRevoked(request, why);
  env.probe?.dismissed(delivery, why);
  if (written !== undefined) await written;
  await request.release({ as: "ack" });
}
