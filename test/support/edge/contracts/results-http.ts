/** The backend contract over HTTP, for a bundle in a runtime without Node: the gateway is outside. */
import { describe, inject, test } from "vitest";
import { upstashBackend } from "../../../../adapters/redis/http.ts";
import { exerciseBackend } from "../../../../src/testing/mod.ts";

const globalKeyprefix = `contract-${crypto.randomUUID()}`;

describe.each(["gateway", "polled"] as const)("results over HTTP, %s", (name) => {
  const { url, token } = inject(name);
  exerciseBackend({
    make: () => upstashBackend({ url, token, globalKeyprefix, commandTimeout: "30s" }),
    features: { push: false, chord: "none", shared: true },
    facts: true,
    shortestTtl: 200,
    // The bundle may share its process with the gateway.
    patience: 30_000,
  }, { test });
});
