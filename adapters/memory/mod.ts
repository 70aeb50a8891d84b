/**
 * `celeriac/memory`: broker and backend in memory, for tests and for programs that are one process.
 *
 * @example
 * ```ts
 * import { Celery } from "celeriac";
 * import { memoryBackend, memoryBroker } from "celeriac/memory";
 * import { Worker } from "celeriac/worker";
 *
 * await using app = new Celery("test", { broker: memoryBroker(), backend: memoryBackend() });
 * const add = app.task("tasks.add", (x: number, y: number): number => x + y);
 * await using worker = new Worker(app);
 * void worker.run();
 * console.log(await (await add.delay(2, 3)).get({ timeout: 5 })); // 5
 * ```
 *
 * @module
 */
export { memoryBroker } from "./broker.ts";
export type { MemoryBroker, MemoryBrokerOptions } from "./broker.ts";
export { memoryBackend } from "./backend.ts";
export type { MemoryBackendOptions } from "./backend.ts";
export { MemoryWorld } from "./world.ts";
export type { Limits } from "./rabbit/rabbit.ts";
export type { MemoryWorldOptions, QueueFacts } from "./world.ts";
export { FakeUnsupported } from "./rabbit/fault.ts";
