/**
 * `celeriac/memory`: broker and backend in memory, for tests and for programs that are one process.
 *
 * @module
 */
export { memoryBroker } from "./broker.ts";
export type { MemoryBroker, MemoryBrokerOptions } from "./broker.ts";
export { memoryBackend } from "./backend.ts";
export type { MemoryBackendOptions } from "./backend.ts";
export { MemoryWorld } from "./world.ts";
export type { Limits } from "./rabbit/rabbit.ts";
export type { MemoryWorldOptions } from "./world.ts";
export { FakeUnsupported } from "./rabbit/fault.ts";
