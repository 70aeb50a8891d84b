/**
 * The memory pair keeps the contracts.
 *
 * @module
 */
import { describe, test } from "vitest";
import { memoryBackend, memoryBroker, MemoryWorld } from "../../adapters/memory/mod.ts";
import { exerciseBackend, exerciseBroker } from "../../src/testing/mod.ts";

describe("memory broker", () => {
  const world = new MemoryWorld();
  exerciseBroker({
    make: () => memoryBroker({ world }),
    features: {
      link: "shared",
      confirm: "memory",
      mustRoute: true,
      resends: false,
      delivery: "push",
      subscribe: true,
      exchanges: ["direct", "topic", "fanout"],
      delay: true,
      priority: "high-first",
      requeue: "publication",
      park: "copy",
      maxPark: 28 * 86_400_000,
      loss: "link",
      attempts: false,
      maxMessage: 128 * 1024 * 1024,
    },
    server: {
      restart: () => Promise.resolve(world.restart()),
      alarm: (on) => Promise.resolve(world.alarm("memory", on)),
    },
    link: { cut: () => world.cut(), freeze: () => world.freeze(), thaw: () => world.thaw() },
  }, { test });
});

describe("memory backend", () => {
  const backend = memoryBackend();
  exerciseBackend({
    // Its own object is all that can see it.
    make: () => backend,
    features: { push: true, chord: "unlock", shared: true },
    facts: true,
    shortestTtl: 40,
  }, { test });
});
