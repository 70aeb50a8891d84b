/**
 * `celeriac/worker`: runs an app's tasks.
 *
 * @module
 */
export { consoleLogger } from "../lib/console-logger.ts";
export { Worker } from "./worker.ts";

export type { ConsoleLogger, ConsoleLoggerOptions } from "../lib/console-logger.ts";
export type { Logger, LogLevel } from "../lib/logger.ts";
export type { Pool, Slot } from "../pool.ts";
export type { TaskInHand, WorkerSnapshot } from "./state.ts";
export type { WorkerOptions } from "./worker.ts";
