/**
 * The adapters under test, in one module that can be bundled with a mutant in it.
 *
 * @module
 */
export { amqpBroker } from "../../../adapters/amqp/tcp.ts";
export { memoryBroker, MemoryWorld } from "../../../adapters/memory/mod.ts";
export { upstashBackend, upstashBroker } from "../../../adapters/redis/http.ts";
export { redisBackend, redisBroker } from "../../../adapters/redis/tcp.ts";
