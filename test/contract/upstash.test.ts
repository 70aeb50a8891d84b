/**
 * The contracts over HTTP, through the gateway.
 *
 * @module
 */
import { afterAll, describe, inject, test } from "vitest";
import { upstashBackend, upstashBroker } from "../../adapters/redis/http.ts";
import { redisFeatures } from "./redis-features.ts";
import { startGateway } from "../support/gateway.ts";
import { exerciseBackend, exerciseBroker } from "../../src/testing/mod.ts";

const gateway = await startGateway({ redis: inject("redis") });
const polled = await startGateway({ redis: inject("redis") });
polled.faults.noSubscribe();
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await polled[Symbol.asyncDispose]();
});

const globalKeyprefix = `contract-${crypto.randomUUID()}`;

describe.each([["with streams", gateway], ["by polling", polled]])(
  "results %s",
  (_how, { url, token }) =>
    exerciseBackend({
      make: () => upstashBackend({ url, token, globalKeyprefix }),
      features: { push: false, chord: "none", shared: true },
      facts: true,
      shortestTtl: 200,
      unreachable: () => upstashBackend({ url: "http://127.0.0.1:9", token: "none" }),
    }, { test }),
);

describe("broker", () =>
  exerciseBroker({
    make: () =>
      upstashBroker({ url: gateway.url, token: gateway.token, globalKeyprefix, pollInterval: "50ms" }),
    features: redisFeatures({ link: "call", maxMessage: 7_000_000, subscribe: false }),
    routing: "kombu",
    unreachable: () => upstashBroker({ url: "http://127.0.0.1:9", token: "none" }),
  }, { test }));
