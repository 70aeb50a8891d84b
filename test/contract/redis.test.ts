import { inject } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { exerciseBackend } from "./backend.ts";

const globalKeyprefix = `contract-${crypto.randomUUID()}`;

exerciseBackend({
  make: () => redisBackend(inject("redis"), { globalKeyprefix }),
  features: { push: true, chord: "none", shared: true },
  facts: true,
  shortestTtl: 200,
});
