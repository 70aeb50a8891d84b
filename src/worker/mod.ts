/**
 * `celeriac/worker`: runs an app's tasks.
 *
 * @module
 */
export { Worker } from "./worker.ts";
export type { WorkerOptions } from "./worker.ts";
