import { describe, expect, test } from "vitest";
import type { CeleriacError } from "../../src/errors.ts";
import type { WorkerHealth } from "../../src/worker/health.ts";
import { Watchdog } from "../../src/worker/watchdog.ts";
import { HandClock } from "../support/hand-clock.ts";

const HEALTHY: WorkerHealth = { state: "consuming", healthy: true, aliveAt: 1, reasons: [] };
const DOWN: WorkerHealth = {
  state: "down",
  healthy: false,
  aliveAt: 1,
  reasons: [{ code: "broker-lost", message: "It was lost." }],
};

function watch(times: { readonly blockedAfter?: number; readonly deadAfter?: number } = {}) {
  const clock = new HandClock();
  const blocked: number[] = [];
  const dead: CeleriacError[] = [];
  const state = { health: HEALTHY };
  const watchdog = new Watchdog({
    ...{ clock, blockedAfter: 2000, deadAfter: 60_000, ...times },
    health: () => state.health,
    blocked: (ms) => void blocked.push(ms),
    dead: (error) => void dead.push(error),
  });
  return { blocked, clock, dead, state, watchdog };
}

describe("a blocked event loop", () => {
  test("is told of with its length, once in ten seconds, and not below the limit", () => {
    const { blocked, clock } = watch();
    clock.run(5000);
    clock.block(1900);
    clock.run(1000);
    expect(blocked).toEqual([]);
    clock.block(4000);
    clock.run(1000);
    expect(blocked.length).toBe(1);
    expect(blocked[0]).toBeGreaterThan(3000);
    expect(blocked[0]).toBeLessThanOrEqual(4000);
    clock.block(4000);
    clock.run(1000);
    expect(blocked.length).toBe(1);
    clock.run(10_000);
    clock.block(4000);
    clock.run(1000);
    expect(blocked.length).toBe(2);
  });

  test("is never told of where the limit is none", () => {
    const { blocked, clock } = watch({ blockedAfter: Infinity });
    clock.block(1_000_000);
    clock.run(1000);
    expect(blocked).toEqual([]);
  });
});

describe("a worker that does not consume", () => {
  test("is dead after the limit, told once with the reason", () => {
    const { clock, dead, state } = watch();
    clock.run(120_000);
    state.health = DOWN;
    clock.run(59_000);
    expect(dead).toEqual([]);
    clock.run(2000);
    expect(dead.map(({ code, message }) => [code, message])).toEqual([
      ["worker-dead", expect.stringMatching(/consumed nothing for 60 s\. It was lost\./)],
    ]);
    clock.run(120_000);
    expect(dead.length).toBe(1);
    expect(clock.armed).toBe(0);
  });

  test("is not dead while it comes back in time, is stopped, or only the event loop stood still", () => {
    const { clock, dead, state } = watch();
    for (let turn = 0; turn < 5; turn++) {
      state.health = DOWN;
      clock.run(50_000);
      state.health = HEALTHY;
      clock.run(1000);
    }
    state.health = { ...DOWN, state: "stopping" };
    clock.run(200_000);
    state.health = DOWN;
    clock.run(1000);
    clock.block(100_000);
    // The first look after it judges nothing; what came in meanwhile is read by the second.
    clock.run(1);
    state.health = HEALTHY;
    clock.run(5000);
    expect(dead).toEqual([]);
  });

  test("is watched no more once it is disposed of", () => {
    const { clock, watchdog } = watch();
    watchdog[Symbol.dispose]();
    expect(clock.armed).toBe(0);
  });
});
