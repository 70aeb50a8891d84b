/**
 * `celeriac/worker`: runs an app's tasks.
 *
 * @example
 * ```ts
 * import { Celery } from "celeriac";
 * import { amqpBroker } from "celeriac/amqp";
 * import { Worker } from "celeriac/worker";
 *
 * const app = new Celery("sums", { broker: amqpBroker("amqp://") });
 * app.task("tasks.add", { params: ["x", "y"] }, (x: number, y: number): number => x + y);
 * await using worker = new Worker(app, { queues: ["sum-queue"], concurrency: 4 });
 * await worker.run();
 * ```
 *
 * @module
 */
export { consoleLogger } from "../lib/console-logger.ts";
export { healthHandler } from "./health-handler.ts";
export { Worker } from "./worker.ts";

export type { ConsoleLogger, ConsoleLoggerOptions } from "../lib/console-logger.ts";
export type { Logger, LogLevel } from "../lib/logger.ts";
export type { Pool, Slot } from "../pool.ts";
export type { StampedHeaders } from "../result/revoke.ts";
export type { UnstoredResults } from "./results.ts";
export type { RevokeOptions } from "./revoke.ts";
export type { StopOptions } from "./shutdown.ts";
export type { HealthReason, WorkerHealth, WorkerPhase } from "./health.ts";
export type { HealthHandler } from "./health-handler.ts";
export type { TaskInHand, WorkerSnapshot } from "./state.ts";
export type { WatchOptions } from "./watchdog.ts";
export type { WorkerOptions } from "./worker.ts";
