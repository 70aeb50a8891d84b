import { expect, test } from "vitest";
import { pause } from "../../src/lib/pause.ts";
import { HandClock } from "../support/hand-clock.ts";

/** A signal that counts its listeners. */
function counted(): {
  readonly signal: AbortSignal;
  readonly abort: () => void;
  readonly listeners: () => number;
} {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    listeners++;
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--;
    Reflect.apply(removeEventListener, signal, args);
  };
  return { signal, abort: () => controller.abort(), listeners: () => listeners };
}

test("a pause leaves neither timer nor listener behind, whichever ends it", async () => {
  const clock = new HandClock();
  const [long, short] = [counted(), counted()];
  for (let at = 0; at < 100; at++) {
    const over = pause(clock, 1000, long.signal, undefined);
    clock.run(1000);
    await over;
  }
  const cut = pause(clock, 1000, long.signal, short.signal);
  expect([clock.armed, long.listeners(), short.listeners()]).toEqual([1, 1, 1]);
  short.abort();
  await cut;
  expect([clock.armed, long.listeners(), short.listeners()]).toEqual([0, 0, 0]);
});
