/**
 * The contract of a server that is restarted, on a Redis of its own, over TCP and over HTTP. It has no alarm as the contract means one: a Redis
 * whose memory is full refuses each write in words, and tells nobody of it (test/redis/faults.test.ts).
 *
 * @module
 */
import { afterAll, beforeAll, describe, test } from "vitest";
import { upstashBroker } from "../../adapters/redis/http.ts";
import { redisBroker } from "../../adapters/redis/tcp.ts";
import { exerciseBroker } from "../../src/testing/mod.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { redisFeatures } from "./redis-features.ts";

let redis: PrivateServer;
let gateway: PrivateGateway;
beforeAll(async () => {
  redis = await startRedis();
  gateway = await startGateway({ redis: redis.url });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
});

const server = { restart: () => redis.restart() };
// The rest of the contract runs on the server that all share.
const runner = {
  test: (name: string, run: () => Promise<void>) => name.startsWith("server: ") && test(name, run, 60_000),
};

describe("Redis over TCP", () =>
  exerciseBroker({
    make: () => redisBroker(redis.url, { reconnectMax: "200ms" }),
    features: redisFeatures(),
    routing: "kombu",
    server,
  }, runner));

describe("Redis over HTTP", () =>
  exerciseBroker({
    make: () => upstashBroker({ url: gateway.url, token: gateway.token, pollInterval: "50ms" }),
    features: redisFeatures({ link: "call", maxMessage: 7_000_000, subscribe: false }),
    routing: "kombu",
    server,
  }, runner));
