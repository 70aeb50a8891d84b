import { inject, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { exerciseBackend } from "../../src/testing/mod.ts";

const globalKeyprefix = `contract-${crypto.randomUUID()}`;

exerciseBackend({
  make: () => redisBackend(inject("redis"), { globalKeyprefix }),
  features: { push: true, chord: "none", shared: true },
  facts: true,
  shortestTtl: 200,
}, { test });
