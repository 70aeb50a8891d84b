import { expect, test } from "vitest";
import { Celery } from "../../../src/app/app.ts";
import { deferred } from "../../../src/lib/deferred.ts";
import { systemPlatform } from "../../../src/lib/platform.ts";
import { Simulator } from "../../../src/testing/simulator/simulator.ts";
import { rig } from "./setup.ts";

const MORNING = Date.UTC(2026, 0, 1);

test("a node has a clock, chance, ids and a host of its own; its chance hangs on its name, not on the others", () => {
  const alone = new Simulator({ seed: 5 }).node("b").platform;
  const simulator = new Simulator({ seed: 5 });
  const [a, b] = [simulator.node("a").platform, simulator.node("b").platform];
  expect(a.ids.uuid()).not.toBe(b.ids.uuid());
  expect(alone.random.next()).not.toBe(a.random.next());
  const [again, other] = [alone.ids.uuid(), b.random.next()];
  expect([other, b.ids.uuid()].includes(again)).toBe(false);
  expect([a.clock.now(), a.clock.elapsed(), a.host.hostname]).toEqual([MORNING, 0, "a"]);
  expect(a.host.pid).not.toBe(b.host.pid);
  expect(a.context).toBe(systemPlatform.context);
});

test("two nodes of one name are refused", () => {
  const simulator = new Simulator();
  simulator.node("a");
  expect(() => simulator.node("a")).toThrow(expect.objectContaining({ code: "simulation-node" }));
});

test("time moves only when it is driven, from timer to timer", async () => {
  const simulator = new Simulator();
  const { clock } = simulator.node("a").platform;
  const seen: number[] = [];
  for (const ms of [3000, 1000, 2000]) clock.after(ms, () => seen.push(clock.now() - MORNING));
  const off = clock.after(500, () => seen.push(-1));
  off.cancel();
  await simulator.settle();
  expect(seen).toEqual([]);
  await simulator.advance(2500);
  expect([...seen, clock.now() - MORNING]).toEqual([1000, 2000, 2500]);
  await simulator.idle();
  expect([...seen, clock.elapsed()]).toEqual([1000, 2000, 3000, 3000]);
  await simulator.advanceTo(MORNING + 1);
  expect(clock.elapsed()).toBe(3000);
});

test("idle does not wait for timers that hold no process open, but lets those pass that come before", async () => {
  const simulator = new Simulator();
  const { clock } = simulator.node("a").platform;
  const seen: string[] = [];
  clock.after(10, () => seen.push("background"), { keepAlive: false });
  clock.after(20, () => seen.push("work"));
  clock.after(30, () => seen.push("never"), { keepAlive: false });
  await simulator.idle();
  expect([...seen, clock.elapsed()]).toEqual(["background", "work", 20]);
});

test("soon and after keep the async context of who asked, and nobody else's", async () => {
  const { context } = systemPlatform;
  if (!context.available) return;
  const simulator = new Simulator();
  const { clock } = simulator.node("a").platform;
  const seen: unknown[] = [];
  const note = (): void => void seen.push(context.current());
  context.run("first", () => clock.soon(note));
  context.run("second", () => clock.after(5, note));
  clock.after(5, note);
  await simulator.idle();
  expect(seen).toEqual(["first", "second", undefined]);
});

test("what is soon comes before anything else of the same node, and after the microtasks", async () => {
  const simulator = new Simulator({ picks: [3, 2, 1, 3, 2, 1] });
  const { clock } = simulator.node("a").platform;
  const seen: string[] = [];
  clock.after(0, () => {
    seen.push("due");
    clock.soon(() => seen.push("soon"));
    void Promise.resolve().then(() => seen.push("microtask"));
  });
  clock.after(0, () => seen.push("due, too"));
  await simulator.idle();
  expect(seen).toEqual(["due", "microtask", "soon", "due, too"]);
});

test("a skewed node tells another time, and its timers are as long as ever", async () => {
  const simulator = new Simulator();
  const node = simulator.node("a");
  const { clock } = node.platform;
  node.skew(-60_000);
  let at = 0;
  clock.after(1000, () => at = clock.elapsed());
  await simulator.idle();
  expect([clock.now() - MORNING, at, node.skewed]).toEqual([-59_000, 1000, -60_000]);
});

/** A client and two workers, whose task ends when the test lets it. */
function crew(options: { readonly acksLate: boolean }) {
  const origin = new Celery("crew");
  const starts: string[] = [];
  const gate = deferred<void>();
  const heeds = { onStart: (): void => {} };
  const task = origin.task("t.slow", { bind: true, ...options }, async (running, x: number) => {
    starts.push(running.hostname.slice(7));
    heeds.onStart();
    await gate.promise;
    return x;
  });
  const parts = rig(origin);
  return { ...parts, gate, heeds, starts, send: (x: number) => parts.app.sendTask(task.name, { args: [x] }) };
}

test("a killed worker is heard no more, and what it had not acked goes to another one", async () => {
  const { app, close, gate, send, simulator, starts, work } = crew({ acksLate: true });
  const first = work("first");
  await simulator.settle();
  const result = await send(7);
  await simulator.settle();
  expect(starts).toEqual(["first"]);
  first.node.kill();
  first.node.kill();
  expect([first.node.alive, first.node.links]).toEqual([false, 0]);
  work("second");
  gate.resolve();
  await simulator.settle();
  expect(starts).toEqual(["first", "second"]);
  expect(await app.result(result.id).get()).toBe(7);
  let ended = false;
  void first.done.then(() => ended = true);
  void first.worker.stop();
  await simulator.idle();
  expect(ended).toBe(false);
  await close();
});

test.each([["arrives", 1], ["lost", 2]] as const)(
  "what a node sent last %s when it is killed: the early ack of a task that has begun makes it %i run(s)",
  async (unsent, runs) => {
    const { close, gate, heeds, send, simulator, starts, work } = crew({ acksLate: false });
    const { node } = work("first");
    await simulator.settle();
    // The ack has left when the body begins.
    heeds.onStart = () => node.kill({ unsent });
    await send(1);
    await simulator.settle();
    work("second");
    gate.resolve();
    await simulator.settle();
    expect(starts).toEqual(["first", "second"].slice(0, runs));
    await close();
  },
);

test("nothing passes a stalled link, nobody is told, and all of it arrives once it is healed", async () => {
  const { close, gate, send, simulator, starts, work, client } = crew({ acksLate: true });
  const { node } = work("first");
  gate.resolve();
  await simulator.settle();
  node.stall();
  const result = await send(3);
  await simulator.settle();
  expect([starts, node.stalledAt("broker"), node.links]).toEqual([[], MORNING, 2]);
  client.stall("backend");
  const got = result.get();
  node.heal();
  await simulator.settle();
  expect(starts).toEqual(["first"]);
  client.heal();
  await simulator.settle();
  expect(await got).toBe(3);
  await close();
});

test("a cut link is told of at both ends: what was not acked comes again, on a new link", async () => {
  const { close, gate, send, simulator, starts, work } = crew({ acksLate: true });
  const { node } = work("first");
  await simulator.settle();
  const result = await send(9);
  await simulator.settle();
  node.cut();
  await simulator.settle();
  gate.resolve();
  await simulator.settle();
  // The publishing link is opened again by the next publish.
  expect([starts, node.links]).toEqual([["first", "first"], 1]);
  expect(await result.get()).toBe(9);
  await close();
});

test("the world outside is waited for, and time stands still meanwhile", async () => {
  const simulator = new Simulator();
  let waits = true;
  simulator.outsiders = () => waits ? ["Task t.fetch[1] on one"] : [];
  const { clock } = simulator.node("a").platform;
  clock.after(1000, () => {});
  const moved = simulator.advance(1000);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(clock.elapsed()).toBe(0);
  waits = false;
  await moved;
  expect(clock.elapsed()).toBe(1000);
});

test("patience ends with an error that names who waits", async () => {
  const simulator = new Simulator({ patience: 30 });
  simulator.outsiders = () => ["Task t.fetch[1] on one"];
  await expect(simulator.advance(1000)).rejects.toMatchObject({
    code: "simulation-impatient",
    message: expect.stringMatching(/^Task t\.fetch\[1\] on one: waits .* more than 0\.03 s\./) as string,
  });
});

test("a long wait for the world outside is told once, before patience ends", async () => {
  const simulator = new Simulator({ patience: 60, worry: 10 });
  const told: string[] = [];
  simulator.onWorry = (sentence) => void told.push(sentence);
  simulator.outsiders = () => ["Task t.fetch[1] on one"];
  for (let wait = 1; wait <= 2; wait++) {
    await expect(simulator.advance(1000)).rejects.toMatchObject({ code: "simulation-impatient" });
    expect(told).toEqual(
      Array<string>(wait).fill("Task t.fetch[1] on one: waits for something outside for more than 0.01 s."),
    );
  }
});

test("timers that lead to nothing but timers end with an error that names whose they are", async () => {
  const simulator = new Simulator();
  const { clock } = simulator.node("ticker").platform;
  const tick = (): void => void clock.after(10, tick);
  tick();
  await simulator.advance(1000);
  await expect(simulator.idle()).rejects.toMatchObject({
    code: "simulation-endless",
    message: expect.stringContaining("ticker") as string,
  });
});
