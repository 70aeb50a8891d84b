/**
 * The adapters under test, in one module that can be bundled with a mutant in it.
 *
 * @module
 */
export { amqpBroker } from "../../../adapters/amqp/tcp.ts";
export { redisBackend, redisBroker } from "../../../adapters/redis/tcp.ts";
