/**
 * The contracts over HTTP, through the gateway and a proxy before it that can break the network.
 *
 * @module
 */
import { afterAll, describe, inject, test } from "vitest";
import { upstashBackend, upstashBroker } from "../../adapters/redis/http.ts";
import { redisFeatures } from "./redis-features.ts";
import { startGateway } from "../support/gateway.ts";
import { startProxy } from "../support/proxy.ts";
import { exerciseBackend, exerciseBroker } from "../../src/testing/mod.ts";
import { placeOf, through } from "../redis/setup.ts";

/** A gateway, and the way to it. */
async function start(streams: boolean) {
  const gateway = await startGateway({ redis: inject("redis") });
  if (!streams) gateway.faults.noSubscribe();
  const proxy = await startProxy(placeOf(gateway.url));
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await gateway[Symbol.asyncDispose]();
  });
  return {
    door: { url: through(gateway.url, proxy.port), token: gateway.token },
    link: { cut: () => proxy.cut(), freeze: () => proxy.blackhole("both"), thaw: () => proxy.heal() },
  };
}

const [streamed, polled] = [await start(true), await start(false)];
const globalKeyprefix = `contract-${crypto.randomUUID()}`;
// The port of discard: nothing listens there.
const NOWHERE = { url: "http://127.0.0.1:9", token: "none" };

describe.each([["with streams", streamed], ["by polling", polled]])(
  "results %s",
  (_how, { door, link }) =>
    exerciseBackend({
      make: () => upstashBackend({ ...door, globalKeyprefix }),
      features: { push: false, chord: "none", shared: true },
      facts: true,
      shortestTtl: 200,
      link,
      unreachable: () => upstashBackend(NOWHERE),
    }, { test }),
);

describe("broker", () =>
  exerciseBroker({
    make: () => upstashBroker({ ...streamed.door, globalKeyprefix, pollInterval: "50ms" }),
    features: redisFeatures({ link: "call", maxMessage: 7_000_000, subscribe: false }),
    routing: "kombu",
    link: streamed.link,
    unreachable: () => upstashBroker(NOWHERE),
  }, { test }));
