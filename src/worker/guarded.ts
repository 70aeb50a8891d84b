/**
 * A logger that cannot harm the worker that writes to it.
 *
 * @module
 */
import type { Logger, LogLevel } from "../lib/logger.ts";
import { silentLogger } from "../lib/logger.ts";

/** A logger that may say which levels it heeds. */
export type ChoosyLogger = Logger & { enabled?(level: LogLevel): boolean };

/** The same logger, but what it throws, or rejects with, is dropped: a sink in trouble has no place to be told of, and tasks must go on. */
export function guarded(logger: ChoosyLogger): ChoosyLogger {
  if (logger === silentLogger) return logger;
  return {
    log(level, message, fields) {
      try {
        // An async function passes for a logger's method too.
        const logged: unknown = logger.log(level, message, fields);
        if (logged instanceof Promise) logged.catch(() => {});
      } catch {
        // See above.
      }
    },
    enabled(level) {
      try {
        return logger.enabled?.(level) !== false;
      } catch {
        return true;
      }
    },
  };
}
