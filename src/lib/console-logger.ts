/**
 * The logger of programs that give none: warnings and worse go to the console.
 *
 * @module
 */
import { LOG_LEVELS, type Logger } from "./logger.ts";

/** Writes warnings, errors and critical lines to the console, and leaves out the rest. */
export const consoleLogger: Logger = {
  log(level, message) {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf("warning")) return;
    if (level === "warning") console.warn(`[celeriac] ${message}`);
    else console.error(`[celeriac] ${message}`);
  },
};
