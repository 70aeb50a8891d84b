import { expect, test } from "vitest";
import { createHarness } from "../../../src/testing/mod.ts";
import { pause } from "../../support/wait.ts";
import { shop } from "./setup.ts";

const code = (name: string): unknown => expect.objectContaining({ code: name });
const text = (part: string): unknown => expect.stringContaining(part);

test("a task that is sent runs on a real worker and its result is there, with nothing but await", async () => {
  const { app, add, runs } = shop();
  await using harness = await createHarness(app);
  const result = await add.delay(2, 3);
  expect(await result.get()).toBe(5);
  expect(runs).toEqual([{ task: "shop.add", args: [2, 3], worker: "celery@worker-1" }]);
  expect(harness.now).toEqual(new Date("2026-01-01T00:00:00Z"));
  expect(harness.workers.map(({ hostname, queues, running }) => [hostname, queues, running])).toEqual([
    ["celery@worker-1", ["celery", "mails"], true],
  ]);
});

test("what passes goes through the real codecs", async () => {
  const { app, echo, fail } = shop();
  await using harness = await createHarness(app);
  const at = new Date("2026-05-01T10:00:00.123Z");
  const values = [2n ** 70n, at, new Uint8Array([1, 2]), "é\u2028", [null, { a: [1.5] }]];
  for (const value of values) {
    expect(await harness.run(async () => (await echo.delay(value)).get())).toEqual(value);
  }
  expect(await (await echo.delay({ gone: undefined, kept: 1 })).get()).toEqual({ kept: 1 });
  await expect(echo.delay(() => 1)).rejects.toMatchObject({ name: "EncodeError" });
  const failed = await fail.delay();
  await expect(failed.get()).rejects.toMatchObject({ code: "task-failed", excType: "RangeError" });
});

test("time stands still by itself: an hour passes when it is told to, each task at its own instant", async () => {
  const { app, mail, runs } = shop();
  await using harness = await createHarness(app, { now: "2026-03-01T12:00:00Z" });
  const seen: string[] = [];
  app.task("shop.look", () => void seen.push(harness.now.toISOString().slice(11, 19)));
  await mail.applyAsync(["a"], { countdown: "1h" });
  for (const countdown of ["50m", "10m", "30m"] as const) await app.sendTask("shop.look", { countdown });
  await app.sendTask("shop.look", { eta: new Date("2026-03-01T12:20:00Z") });
  await pause(5);
  expect([seen, runs]).toEqual([[], []]);
  await harness.advance("59m");
  expect([seen, runs]).toEqual([["12:10:00", "12:20:00", "12:30:00", "12:50:00"], []]);
  expect(harness.now.toISOString()).toBe("2026-03-01T12:59:00.000Z");
  await harness.advance(60);
  expect(runs).toHaveLength(1);
});

test("advanceTo goes to an instant, and not back", async () => {
  const { app } = shop();
  await using harness = await createHarness(app);
  await harness.advanceTo("2026-01-02");
  await harness.advanceTo(new Date("2026-01-01T12:00:00Z"));
  expect(harness.now).toEqual(new Date("2026-01-02T00:00:00Z"));
  await expect(harness.advanceTo("tomorrow")).rejects.toMatchObject({ code: "option-invalid" });
});

test("runUntilIdle goes as far as there is something to do", async () => {
  const { app, mail, runs } = shop();
  await using harness = await createHarness(app);
  await harness.runUntilIdle();
  expect(harness.now).toEqual(new Date("2026-01-01T00:00:00Z"));
  for (const countdown of ["2d", "1h"] as const) await mail.applyAsync([countdown], { countdown });
  await harness.runUntilIdle();
  expect(runs.map(({ args }) => args[0])).toEqual(["1h", "2d"]);
  expect(harness.now).toEqual(new Date("2026-01-03T00:00:00Z"));
});

test("run moves time as far as its callback needs it, and gives what that gives", async () => {
  const { app, mail, runs } = shop();
  await using harness = await createHarness(app);
  const got = await harness.run(async () => {
    const later = await mail.applyAsync(["later"], { countdown: "1d" });
    const result = await mail.applyAsync(["soon"], { countdown: "1h" });
    return [await result.get(), await later.state()];
  });
  expect(got).toEqual(["sent to soon", "PENDING"]);
  expect([harness.now, runs.length]).toEqual([new Date("2026-01-01T01:00:00Z"), 1]);
  await expect(harness.run(() => Promise.reject(new TypeError("mine")))).rejects.toThrow("mine");
  expect(await harness.run(() => 7)).toBe(7);
});

test("a timeout in run is one of its own time", async () => {
  const { app, mail } = shop();
  await using harness = await createHarness(app);
  const waiting = harness.run(async () =>
    (await mail.applyAsync(["x"], { countdown: "1h" })).get({ timeout: 90 })
  );
  await expect(waiting).rejects.toMatchObject({ code: "result-timeout" });
  expect(harness.now).toEqual(new Date("2026-01-01T00:01:30Z"));
});

test("within run time may be moved, too", async () => {
  const { app, mail } = shop();
  await using harness = await createHarness(app);
  await harness.run(async () => {
    const result = await mail.applyAsync(["x"], { countdown: 10 });
    await harness.advance(5);
    expect(await result.state()).toBe("PENDING");
    await harness.advance(5);
    expect(await result.state()).toBe("SUCCESS");
  });
});

test("run ends with an error where nothing is left that could bring what it waits for", async () => {
  const { app } = shop();
  await using harness = await createHarness(app, { seed: 9 });
  const waiting = harness.run(async () => (await app.sendTask("other.task", { queue: "others" })).get());
  await expect(waiting).rejects.toMatchObject({
    code: "harness-stuck",
    message: text('No worker takes from the queue "others" (1)'),
  });
  await expect(harness.run(async () => await app.result("no such id").get())).rejects.toMatchObject({
    message: text("createHarness(app, { seed: 9 })"),
  });
});

test("drain runs what lies in the queues, also where no worker runs", async () => {
  const { app, add, mail, runs } = shop();
  await using harness = await createHarness(app, { workers: 0 });
  await add.delay(1, 1);
  await mail.applyAsync(["now"]);
  await mail.applyAsync(["later"], { countdown: "1h" });
  await app.sendTask("other.task", { queue: "others" });
  await pause(5);
  expect([runs, harness.workers]).toEqual([[], []]);
  expect(await harness.drain()).toEqual({ ran: 2, left: { others: 1 } });
  expect(await harness.drain({ withScheduled: true })).toEqual({ ran: 1, left: { others: 1 } });
  expect(runs.map(({ args }) => args[0])).toEqual([1, "now", "later"]);
  expect(harness.workers.some(({ running }) => running)).toBe(false);
});

test("more workers share the work, and one that stops gives back what has not begun", async () => {
  const { app, gate, slow, mail, runs } = shop();
  await using harness = await createHarness(app, { workers: 2, concurrency: 1 });
  const third = await harness.worker({ queues: ["mails"], concurrency: 1 });
  expect([third.name, third.queues]).toEqual(["worker-3", ["mails"]]);
  for (let at = 0; at < 6; at++) await mail.delay(`${at}`);
  await harness.drain();
  expect(new Set(runs.map(({ worker }) => worker)).size).toBe(3);
  await slow.delay();
  await mail.applyAsync(["held"], { countdown: 60 });
  gate.resolve();
  await third.stop();
  expect(third.running).toBe(false);
  await harness.advance(60);
  expect(runs.at(-1)).toMatchObject({ args: ["held"] });
});

test("a task that waits for something outside is waited for, and time stands still meanwhile", async () => {
  const { app, mail } = shop();
  await using harness = await createHarness(app);
  app.task("shop.fetch", async () => {
    await pause(30);
    return harness.now.toISOString();
  });
  await mail.applyAsync(["x"], { countdown: 1 });
  const result = await app.sendTask("shop.fetch");
  await harness.advance("1h");
  expect(await result.get()).toBe("2026-01-01T00:00:00.000Z");
});

test("patience ends: the error names the task and the worker", async () => {
  const { app, gate, slow } = shop();
  await using harness = await createHarness(app, { patience: "30ms" });
  const { id } = await slow.delay();
  await expect(harness.advance(1)).rejects.toMatchObject({
    code: "simulation-impatient",
    message: text(`Task shop.slow[${id}] on worker-1: waits for something outside for more than 0.03 s`),
  });
  await expect(harness.run(() => gate.promise)).rejects.toEqual(code("simulation-impatient"));
  gate.resolve();
  await harness.advance(1);
});

test("a task that waits for a task of the same harness waits for nothing outside", async () => {
  const { app, mail } = shop();
  await using harness = await createHarness(app, { patience: "50ms" });
  app.task("shop.both", async () => {
    const result = await mail.applyAsync(["x"], { countdown: "1h" });
    return await result.get({ disableSyncSubtasks: false });
  });
  expect(await harness.run(async () => (await app.sendTask("shop.both")).get())).toBe("sent to x");
  expect(harness.now).toEqual(new Date("2026-01-01T01:00:00Z"));
});

test("a result that is awaited while time stands still is an error that says how to move it", async () => {
  const { app, mail } = shop();
  await using harness = await createHarness(app, { patience: "50ms" });
  const result = await mail.applyAsync(["x"], { countdown: "1h" });
  await expect(result.get()).rejects.toMatchObject({ code: "harness-still", message: text(result.id) });
  await harness.advance("1h");
  expect(await result.get()).toBe("sent to x");
});

test("a compressed message is read before drain is over", async () => {
  const { app, echo } = shop({ taskCompression: "gzip" });
  await using harness = await createHarness(app, { workers: 0 });
  const long = "x".repeat(20_000);
  const result = await echo.delay(long);
  expect(harness.assertEnqueued(echo, { args: [long] }).id).toBe(result.id);
  await harness.drain();
  expect(await result.get()).toBe(long);
});

test("modules of tasks are loaded before a worker is ready", async () => {
  const { app } = shop({
    include: [async () => {
      await pause(20);
      app.task("shop.late", () => "loaded");
    }],
  });
  await using harness = await createHarness(app);
  expect(await harness.run(async () => (await app.sendTask("shop.late")).get())).toBe("loaded");
});

test("fake timers of a runner change nothing of it", async () => {
  const { app, gate, mail, slow } = shop();
  const { setTimeout, setImmediate } = globalThis;
  const never = (): never => undefined as never;
  try {
    Object.assign(globalThis, { setTimeout: never, setImmediate: never });
    await using harness = await createHarness(app, { patience: "20ms" });
    const result = await mail.applyAsync(["x"], { countdown: "1h" });
    await harness.advance("1h");
    expect(await result.get()).toBe("sent to x");
    await slow.delay();
    await expect(harness.advance(1)).rejects.toEqual(code("simulation-impatient"));
    gate.resolve();
  } finally {
    Object.assign(globalThis, { setTimeout, setImmediate });
  }
});

test("what cannot be is refused", async () => {
  const { app } = shop();
  const making = (options: object): Promise<unknown> => createHarness(app, options);
  await expect(making({ worker: 2 })).rejects.toMatchObject({
    code: "option-unknown",
    message: text('Did you mean "workers"?'),
  });
  for (const options of [{ seed: -1 }, { workers: 0.5 }, { picks: 3 }, { record: -1 }, { now: "soon" }]) {
    await expect(making(options)).rejects.toEqual(code("option-invalid"));
  }
  await expect(making({ patience: "5" })).rejects.toEqual(code("duration-invalid"));
  await expect(createHarness({} as never)).rejects.toEqual(code("app-invalid"));
});

test("the outcome of a task: its state, its runs, its deliveries, and its timeline", async () => {
  const { app, mail, fail } = shop({ workerParkAfter: "1d" });
  await using harness = await createHarness(app, { now: "2026-03-01T12:00:00Z" });
  const result = await mail.applyAsync(["a@b.c"], { countdown: "10m" });
  expect(await harness.outcome(result)).toMatchObject({ state: "PENDING", result: undefined, attempts: [] });
  await harness.advance("10m");
  const outcome = await harness.outcome(result);
  const text: string | undefined = outcome.result;
  expect([outcome.task, outcome.state, text, outcome.error]).toEqual([
    "shop.mail",
    "SUCCESS",
    "sent to a@b.c",
    undefined,
  ]);
  const at = new Date("2026-03-01T12:10:00Z");
  expect(outcome.attempts).toEqual([{ worker: "worker-1", startedAt: at, endedAt: at, ended: "success" }]);
  expect(outcome.deliveries).toBe(1);
  expect(outcome.timeline.map(({ is, node }) => `${node} ${is}`)).toEqual([
    "client published",
    "worker-1 delivered",
    "client verdict",
    "worker-1 settling",
    "worker-1 settled",
    "worker-1 accepted",
    "worker-1 started",
    "worker-1 ended",
    "worker-1 followed",
    "worker-1 storing",
    "worker-1 stored",
  ]);
  const { id } = await fail.delay();
  await harness.drain();
  expect(await harness.outcome(id)).toMatchObject({
    state: "FAILURE",
    error: { code: "task-failed", excType: "RangeError" },
    attempts: [{ ended: "failure" }],
  });
  expect(await harness.outcome("nothing")).toEqual({
    id: "nothing",
    task: undefined,
    state: "PENDING",
    result: undefined,
    error: undefined,
    attempts: [],
    deliveries: 0,
    timeline: [],
  });
  expect(harness.history.entries.find(({ is }) => is === "worker-started")).toMatchObject({
    node: "worker-1",
  });
});

test("a task that is held for longer than the broker allows is given out again, as RabbitMQ does it", async () => {
  const { app, mail, runs } = shop({ workerParkAfter: "1d" });
  await using harness = await createHarness(app);
  const result = await mail.applyAsync(["x"], { countdown: "1h" });
  await harness.advance("1h");
  const { deliveries, state, timeline } = await harness.outcome(result);
  expect([deliveries, state, runs.length]).toEqual([2, "SUCCESS", 1]);
  // `consumer_timeout` is 30 minutes, and looked at once a minute.
  expect(timeline.find(({ is }) => is === "lost")?.at).toBe(Date.UTC(2026, 0, 1, 0, 31));
});
