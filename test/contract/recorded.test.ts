/**
 * What writes down everything that passes keeps the contracts of what it stands before.
 *
 * @module
 */
import { describe, test } from "vitest";
import { memoryBackend, memoryBroker, MemoryWorld } from "../../adapters/memory/mod.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { SwitchedBackend } from "../../src/testing/faults/switch.ts";
import { History } from "../../src/testing/history.ts";
import { exerciseBackend, exerciseBroker } from "../../src/testing/mod.ts";
import { Recorder } from "../../src/testing/recorder.ts";

const recorder = new Recorder(new History({ clock: systemPlatform.clock, keep: 1000 }), "node");

describe("recorded broker", () => {
  const world = new MemoryWorld();
  exerciseBroker({
    make: () => recorder.broker(memoryBroker({ world })),
    features: memoryBroker().features,
    server: {
      restart: () => Promise.resolve(world.restart()),
      alarm: (on) => Promise.resolve(world.alarm("memory", on)),
    },
    link: { cut: () => world.cut(), freeze: () => world.freeze(), thaw: () => world.thaw() },
  }, { test });
});

describe("recorded backend", () => {
  const backend = recorder.backend(new SwitchedBackend(memoryBackend()));
  exerciseBackend({
    make: () => backend,
    features: memoryBackend().features,
    facts: true,
    shortestTtl: 40,
  }, { test });
});
