import { describe, expect, test } from "vitest";
import { backoffDelay } from "../../adapters/amqp/backoff.ts";
import { Heartbeat } from "../../adapters/amqp/heartbeat.ts";
import { HandClock } from "../support/hand-clock.ts";

function watch(
  interval = 1000,
): { clock: HandClock; heartbeat: Heartbeat; sent: number[]; silent: number[] } {
  const clock = new HandClock();
  const sent: number[] = [];
  const silent: number[] = [];
  const heartbeat = new Heartbeat(
    clock,
    interval,
    () => sent.push(clock.time),
    () => silent.push(clock.time),
  );
  return { clock, heartbeat, sent, silent };
}

describe("a heartbeat", () => {
  test("is sent every half interval, whatever else happens", () => {
    const { clock, heartbeat, sent } = watch();
    for (let i = 0; i < 20; i++) {
      heartbeat.received();
      clock.run(100);
    }
    expect(sent).toEqual([500, 1000, 1500, 2000]);
  });

  test("notices silence after two intervals and at most a quarter more", () => {
    const { clock, heartbeat, silent } = watch();
    clock.run(1050);
    heartbeat.received();
    clock.run(10_000);
    expect(silent).toHaveLength(1);
    const silence = (silent[0] ?? 0) - 1050;
    expect(silence).toBeGreaterThanOrEqual(2000);
    expect(silence).toBeLessThanOrEqual(2250);
    expect(clock.armed).toBe(0);
  });

  test("does not take a blocked event loop for silence", () => {
    const { clock, heartbeat, silent } = watch();
    clock.run(900);
    clock.block(8000);
    // One late tick, then the bytes that waited are read.
    clock.run(1);
    heartbeat.received();
    clock.run(1900);
    expect(silent).toEqual([]);
  });

  test("stops when disposed of", () => {
    const { clock, heartbeat, sent } = watch();
    heartbeat[Symbol.dispose]();
    clock.run(10_000);
    expect(sent).toEqual([]);
    expect(clock.armed).toBe(0);
  });
});

test("backoff doubles up to its bound, and takes any part of it", () => {
  const bounds = { min: 100, max: 1000 };
  const delays = (part: number): number[] =>
    [1, 2, 3, 4, 5, 90].map((failures) => backoffDelay(failures, bounds, { next: () => part }));
  expect(delays(0)).toEqual([0, 0, 0, 0, 0, 0]);
  expect(delays(0.5)).toEqual([50, 100, 200, 400, 500, 500]);
  expect(delays(0.999999)).toEqual([100, 200, 400, 800, 1000, 1000]);
});
