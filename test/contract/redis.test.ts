/**
 * The contracts on a real Redis, through a proxy that can break the network.
 *
 * @module
 */
import { afterAll, describe, inject, test } from "vitest";
import { redisBackend, redisBroker } from "../../adapters/redis/tcp.ts";
import { exerciseBackend, exerciseBroker } from "../../src/testing/mod.ts";
import { redisFeatures } from "./redis-features.ts";
import { placeOf, through } from "../redis/setup.ts";
import { startProxy } from "../support/proxy.ts";

const url = inject("redis");
const globalKeyprefix = `contract-${crypto.randomUUID()}:`;
const proxy = await startProxy(placeOf(url));
afterAll(() => proxy[Symbol.asyncDispose]());

const link = { cut: () => proxy.cut(), freeze: () => proxy.blackhole("both"), thaw: () => proxy.heal() };
// The port of discard: nothing listens there.
const NOWHERE = "redis://127.0.0.1:9";

describe("results", () =>
  exerciseBackend({
    make: () => redisBackend(through(url, proxy.port), { globalKeyprefix }),
    features: { push: true, chord: "none", shared: true },
    facts: true,
    shortestTtl: 200,
    link,
    unreachable: () => redisBackend(NOWHERE),
  }, { test }));

describe("broker", () =>
  exerciseBroker({
    make: () => redisBroker(through(url, proxy.port), { globalKeyprefix, reconnectMax: "200ms" }),
    features: redisFeatures(),
    routing: "kombu",
    link,
    unreachable: () => redisBroker(NOWHERE, { reconnectMax: "200ms" }),
  }, { test }));
