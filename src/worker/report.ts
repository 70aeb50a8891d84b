/**
 * The log line that tells how a run ended (celery/app/trace.py: its log policies).
 *
 * @module
 */
import { exceptionRepr, heeds, printable, seconds, shown } from "./lines.ts";
import { isTimeout } from "./limits.ts";
import { isOneOf } from "./outcome.ts";
import type { Request } from "./request.ts";

/** One line for each run. */
export function report(request: Request): void {
  const { env: { clock, logger }, outcome, label, task: { rules } } = request;
  if (outcome === undefined || !heeds(logger, outcome.is === "success" ? "info" : "error")) return;
  const ms = clock.elapsed() - request.began;
  const about = { ...request.about, runtime: ms / 1000 };
  switch (outcome.is) {
    case "success":
      if (request.known !== undefined) {
        // Celery's words (celery/app/trace.py).
        return logger.log("info", `Task ${label} Task already completed successfully.`, about);
      }
      return logger.log("info", `Task ${label} succeeded in ${seconds(ms)}s: ${shown(outcome.value)}`, about);
    case "retry":
      return logger.log("info", `Task ${label} retry: ${printable(outcome.retry.message)}`, about);
    case "ignored":
      return logger.log("info", `Task ${label} ignored`, about);
    case "rejected": {
      const { error, traceback } = outcome;
      const text = printable(error instanceof Error ? error.message : String(error));
      return logger.log("warning", `Task ${label} ${text}`, { ...about, error, traceback });
    }
    case "failure": {
      const { error, exception, traceback } = outcome;
      if (isOneOf(error, rules.throws)) {
        return logger.log("info", `Task ${label} raised expected: ${exceptionRepr(exception)}`, {
          ...about,
          error,
        });
      }
      // Celery's words for what the worker says of a task (celery/worker/request.py `on_failure`).
      const start = isTimeout(outcome) ? "Task handler raised error" : `Task ${label} raised unexpected`;
      const line = `${start}: ${exceptionRepr(exception)}`;
      return logger.log("error", line, { ...about, error, traceback });
    }
  }
}
