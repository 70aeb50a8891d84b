import { expect, test } from "vitest";
import { Timers } from "../../../src/testing/simulator/timers.ts";

/** Moves time to the end, and tells when what fired. */
function run(timers: Timers): string[] {
  const seen: string[] = [];
  while (timers.next < Infinity) {
    timers.now = timers.next;
    for (let alarm = timers.due(); alarm !== undefined; alarm = timers.due()) {
      alarm.fire();
      seen.push(`${alarm.owner} ${timers.now}`);
    }
  }
  return seen;
}

const nothing = (): void => {};

test("timers fire in the order of their instants, and of one instant in the order in which they were set", () => {
  const timers = new Timers(1000);
  for (const [owner, ms] of [["a", 30], ["b", 10], ["c", 30], ["d", 0], ["e", -5]] as const) {
    timers.set(owner, ms, true, nothing);
  }
  expect(timers.waiting.map(({ owner }) => owner)).toEqual(["d", "e", "b", "a", "c"]);
  expect(run(timers)).toEqual(["d 1000", "e 1000", "b 1010", "a 1030", "c 1030"]);
});

test("a timer never fires early: an instant is a whole ms", () => {
  const timers = new Timers(0);
  timers.set("a", 0.2, true, nothing);
  expect(timers.next).toBe(1);
});

test("a timer that was called off does not fire, before its instant or at it", () => {
  const timers = new Timers(0);
  let fired = 0;
  const [first, second] = [1, 1].map((ms) => timers.set("a", ms, true, () => fired++));
  first?.cancel();
  timers.now = 1;
  const alarm = timers.due();
  expect(alarm).toBe(second);
  alarm?.cancel();
  alarm?.fire();
  expect([fired, alarm?.isOff, timers.next]).toEqual([0, true, Infinity]);
});

test("only a timer that holds a process open counts as work", () => {
  const timers = new Timers(0);
  const work = timers.set("a", 5, true, nothing);
  timers.set("a", 5, false, nothing);
  const more = timers.set("b", 5, true, nothing);
  expect(timers.working).toBe(2);
  work.cancel();
  work.cancel();
  expect(timers.working).toBe(1);
  timers.drop("b");
  expect([timers.working, more.isOff, timers.waiting.length]).toEqual([0, true, 1]);
});

test("a million deadlines that are called off while time stands still take no memory", () => {
  const timers = new Timers(0);
  timers.set("a", 50, true, nothing);
  for (let at = 0; at < 1_000_000; at++) timers.set("a", 30_000, true, nothing).cancel();
  expect(timers.size).toBeLessThan(200);
  expect(run(timers)).toEqual(["a 50"]);
});
