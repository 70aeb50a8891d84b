/**
 * Log lines in Celery's format: `[2026-11-22 06:01:29,345: INFO/MainProcess] message`, local time, coloured by level on a terminal.
 *
 * @module
 */
import { LOG_LEVELS } from "../lib/logger.ts";
import type { Logger, LogLevel } from "../lib/logger.ts";

/** Where the lines go and which are wanted. */
export interface ConsoleLogOptions {
  /** The least urgent level that is shown. */
  readonly level: LogLevel;
  readonly colour: boolean;
  write(text: string): void;
  /** Wall time, ms since the epoch. */
  now(): number;
}

/** A {@link Logger} that keeps lines for the rest of the tick. */
export interface ConsoleLogger extends Logger {
  /** Whether a line of this level would be shown: making one costs. */
  enabled(level: LogLevel): boolean;
  /** Writes what is kept. */
  flush(): void;
}

/** celery/utils/log.py ColorFormatter; INFO has no colour there. */
const COLOURS: Partial<Record<LogLevel, number>> = { debug: 34, warning: 33, error: 31, critical: 35 };

/** Lines of this level and above go out at once: they may be the last ones. */
const URGENT = LOG_LEVELS.indexOf("warning");

/**
 * Celery's logger for a terminal or a file. A field `traceback` is printed below its line, as Python prints `exc_info`.
 */
export function consoleLogger(options: ConsoleLogOptions): ConsoleLogger {
  const threshold = LOG_LEVELS.indexOf(options.level);
  const stamp = timestamps();
  let kept = "";

  const flush = (): void => {
    const text = kept;
    kept = "";
    if (text !== "") options.write(text);
  };

  return {
    flush,
    enabled: (level) => LOG_LEVELS.indexOf(level) >= threshold,
    log(level, message, fields) {
      const rank = LOG_LEVELS.indexOf(level);
      if (rank < threshold) return;
      // A write is a system call; lines of one tick share it.
      if (kept === "") queueMicrotask(flush);
      const traceback = fields?.["traceback"];
      const body = typeof traceback === "string" && traceback !== ""
        ? `${message}\n${traceback.trimEnd()}`
        : message;
      const line = `[${stamp(options.now())}: ${level.toUpperCase()}/MainProcess] ${body}`;
      const colour = options.colour ? COLOURS[level] : undefined;
      kept += colour === undefined ? `${line}\n` : `\u001b[1;${colour}m${line}\u001b[0m\n`;
      if (rank >= URGENT) flush();
    },
  };
}

/** Python's `asctime`; the part down to the second is made once a second. */
function timestamps(): (now: number) => string {
  let second = Number.NaN;
  let text = "";
  return (now) => {
    const whole = Math.floor(now / 1000);
    if (whole !== second) {
      second = whole;
      text = localTime(new Date(whole * 1000));
    }
    return `${text},${pad(Math.floor(now - whole * 1000), 3)}`;
  };
}

/** `2026-11-22 06:01:29`, in the local zone. */
export function localTime(date: Date): string {
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ` +
    `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

function pad(value: number, width = 2): string {
  return String(value).padStart(width, "0");
}
