/**
 * The port for log lines. The core writes through it; the CLI prints in Celery's format, tests collect.
 *
 * @module
 */

/** Python's levels, which are Celery's, least urgent first. */
export const LOG_LEVELS = ["debug", "info", "warning", "error", "critical"] as const;

/** One of Python's log levels. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Takes log lines. `fields` carries what a structured sink wants (`taskId`, `taskName`, `error` …); the message stands alone. */
export interface Logger {
  /** Takes one line. */
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Says nothing. */
export const silentLogger: Logger = { log() {} };
