import { describe, expect, test } from "vitest";
import { AT_REST, Pulse } from "../../adapters/amqp/pulse.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { HandClock } from "../support/hand-clock.ts";
import { until } from "../support/wait.ts";
import { consuming, Rig } from "./rig.ts";

function watch() {
  const clock = new HandClock();
  const asked: number[] = [];
  const state = { received: 0, answer: deferred<void>() };
  const pulse = new Pulse(clock, () => state.received, () => {
    asked.push(clock.time);
    return state.answer.promise;
  });
  return { asked, clock, pulse, state };
}

describe("the pulse of a link", () => {
  test("asks nothing while something comes, and once when nothing did for five seconds", () => {
    const { asked, clock, state } = watch();
    for (let at = 1000; at <= 20_000; at += 1000) {
      clock.run(1000);
      state.received = clock.time;
    }
    expect(asked).toEqual([]);
    clock.run(3 * AT_REST);
    expect(asked).toEqual([25_000]);
  });

  test("asks again after an answer, or a failure, and no more once it is disposed of", async () => {
    const { asked, clock, pulse, state } = watch();
    clock.run(AT_REST);
    state.received = clock.time;
    state.answer.resolve();
    await Promise.resolve();
    await Promise.resolve();
    state.answer = deferred();
    clock.run(AT_REST);
    expect(asked).toEqual([AT_REST, 2 * AT_REST]);
    state.answer.reject(new Error("gone"));
    await Promise.resolve();
    await Promise.resolve();
    clock.run(AT_REST);
    expect(asked.length).toBe(3);
    pulse[Symbol.dispose]();
    expect(clock.armed).toBe(0);
  });

  test("keeps a link at rest alive in the eyes of who asks, though heartbeats are a minute apart", async () => {
    await using rig = await Rig.start();
    const consumer = rig.broker().consume([await rig.queue()], { prefetch: 1 });
    await consuming(consumer);
    const before = consumer.aliveAt;
    await until(() => consumer.aliveAt > before + AT_REST - 500, {
      what: "a later sign of life",
      deadline: 3 * AT_REST,
      every: 100,
    });
  });
});
