/**
 * Runs whose link is lost, where the app wants them to end (Celery: `worker_cancel_long_running_tasks_on_connection_loss`).
 *
 * @module
 */
import { ConnectionError } from "../errors.ts";
import type { Request } from "./request.ts";

/** Watches over the link of a run that could not be acked any more; undefined where nobody asked for that. */
export function cancelOnLoss(request: Request): Disposable | undefined {
  const { acksLate, delivery, env: { settings } } = request;
  if (!acksLate || !settings.workerCancelLongRunningTasksOnConnectionLoss) return undefined;
  return delivery.onLost(() => cancel(request));
}

/** The broker gives the message out again: this run is asked to end, and what it comes to is dropped. One that is over is stored. */
function cancel(request: Request): void {
  const { env, about, label, outcome } = request;
  if (outcome !== undefined || request.isSettled) return;
  // Celery's words (celery/worker/consumer/consumer.py).
  const line = `Task ${label} cannot be acknowledged after a connection loss since late acknowledgement ` +
    "is enabled for it.\nTerminating it instead.";
  env.logger.log("warning", line, { ...about, code: "task-cancelled" });
  request.abandoned = true;
  request.forget();
  // That its link went says nothing against the message.
  void env.starts.takeBack(request);
  env.probe?.abandoned?.(request);
  request.abort(
    new ConnectionError("task-cancelled", "The task's link is lost: it runs again, and this run is to end."),
  );
}
