/**
 * Log lines in Celery's format: `[2026-11-22 06:01:29,345: INFO/MainProcess] message`, local time, coloured by level where that is asked.
 *
 * @module
 */
import { LOG_LEVELS, type Logger, type LogLevel } from "./logger.ts";
import { checkOptionNames } from "./options.ts";
import { systemPlatform } from "./platform.ts";
import type { Clock } from "./port.ts";
import { manyLines } from "./printable.ts";

/** Where the lines go and which are wanted. */
export interface ConsoleLoggerOptions {
  /** The least urgent level that is shown. @default "warning", as Celery's `--loglevel` */
  readonly level?: LogLevel;
  /** Whether lines are coloured by their level. @default false */
  readonly colour?: boolean;
  /** Takes whole lines, each with its line end. @default console.error */
  readonly write?: (text: string) => void;
  /** Tells the time of a line. @default the system's */
  readonly clock?: Pick<Clock, "now" | "soon">;
}

/** A {@link Logger} that keeps lines for the rest of the tick. */
export interface ConsoleLogger extends Logger {
  /** Writes what is kept. */
  flush(): void;
  /** Whether lines of that level are shown. */
  enabled(level: LogLevel): boolean;
}

/** celery/utils/log.py ColorFormatter; INFO has no colour there. */
const COLOURS: Partial<Record<LogLevel, number>> = { debug: 34, warning: 33, error: 31, critical: 35 };

/** Lines of this level and above go out at once: they may be the last ones. */
const URGENT = LOG_LEVELS.indexOf("warning");

/**
 * Celery's logger for a terminal or a file. A field `traceback` is printed below its line, as Python prints `exc_info`. Both may hold foreign
 * text: control characters are escaped, and a further line that begins with "[", as only a new entry does, is indented.
 *
 * @throws {ConfigurationError} `option-unknown`.
 */
export function consoleLogger(options: ConsoleLoggerOptions = {}): ConsoleLogger {
  checkOptionNames("consoleLogger", options, ["level", "colour", "write", "clock"]);
  const { level: least = "warning", colour = false, write = toConsole, clock = systemPlatform.clock } =
    options;
  const threshold = LOG_LEVELS.indexOf(least);
  const stamp = timestamps();
  let kept = "";

  const flush = (): void => {
    const text = kept;
    kept = "";
    if (text !== "") write(text);
  };

  return {
    flush,
    enabled: (level) => LOG_LEVELS.indexOf(level) >= threshold,
    log(level, message, fields) {
      const rank = LOG_LEVELS.indexOf(level);
      if (rank < threshold) return;
      // A write is a system call; lines of one tick share it.
      if (kept === "") clock.soon(flush);
      const traceback = fields?.["traceback"];
      const body = typeof traceback === "string" && traceback !== ""
        ? `${message}\n${traceback.trimEnd()}`
        : message;
      const line = `[${stamp(clock.now())}: ${level.toUpperCase()}/MainProcess] ${manyLines(body)}`;
      const code = colour ? COLOURS[level] : undefined;
      kept += code === undefined ? `${line}\n` : `\u001b[1;${code}m${line}\u001b[0m\n`;
      if (rank >= URGENT) flush();
    },
  };
}

function toConsole(text: string): void {
  console.error(text.trimEnd());
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
