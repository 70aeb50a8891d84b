/** `workerCancelLongRunningTasksOnConnectionLoss`: what a lost link does to tasks that run. */
import { expect, test } from "vitest";
import { Celery, type CeleryOptions, type Running } from "../../mod.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { createHarness } from "../../src/testing/mod.ts";
import { until } from "../support/wait.ts";

/** Runs one task whose link is cut while its first run waits; gives what was seen. */
async function cut(settings: CeleryOptions, acksLate: boolean) {
  const app = new Celery("cut", settings);
  const seen: unknown[] = [];
  const lines: string[] = [];
  let runs = 0;
  const gate = deferred<void>();
  const slow = app.task("t.slow", { bind: true, acksLate }, async (task: Running) => {
    if (runs++ > 0) return "done";
    const { signal } = task;
    await Promise.race([
      gate.promise,
      new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
    ]);
    seen.push((signal.reason as { code?: string } | undefined)?.code);
    if (signal.aborted) task.retry({ countdown: 0 });
    return "first";
  });
  await using harness = await createHarness(app, {
    concurrency: 1,
    logger: { log: (_level, line) => void lines.push(line) },
  });
  const sent = await slow.delay();
  await until(() => runs === 1, { what: "it runs" });
  await harness.fault.cut("worker-1");
  await until(() => lines.some((line) => line.includes("Connection to broker lost")), { what: "it is told" });
  await harness.fault.heal("worker-1");
  gate.resolve();
  await harness.runUntilIdle();
  const { state, result, deliveries } = await harness.outcome(sent);
  harness.check();
  const sentTwice = harness.enqueued(slow).length > 1;
  return {
    seen,
    state,
    result,
    deliveries,
    sentTwice,
    told: lines.filter((line) => /Terminating it/.test(line)).length,
  };
}

const CANCELS = { workerCancelLongRunningTasksOnConnectionLoss: true };

test("a task acked late is asked to end, and nothing that it comes to counts; it runs again", async () => {
  expect(await cut(CANCELS, true)).toEqual({
    seen: ["task-cancelled"],
    state: "SUCCESS",
    result: "done",
    deliveries: 2,
    sentTwice: false,
    told: 1,
  });
});

test("one that was acked early goes on, and so does any without the setting", async () => {
  const goesOn = { seen: [undefined], state: "SUCCESS", sentTwice: false, told: 0 };
  // Its ack may have been lost with the link.
  expect(await cut(CANCELS, false)).toMatchObject({ ...goesOn, result: "first" });
  // SUCCESS is final: the second run does not replace it.
  expect(await cut({}, true)).toEqual({ ...goesOn, result: "first", deliveries: 2 });
});

test("a link that is lost again and again makes no poison of a task", async () => {
  const app = new Celery("flaky", { ...CANCELS, taskAcksLate: true });
  let runs = 0;
  // With a limit, a harness lets time pass while it runs.
  const slow = app.task("t.slow", { bind: true, timeLimit: "1h" }, async (task: Running) => {
    if (++runs > 6) return "done";
    await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
    throw task.signal.reason;
  });
  await using harness = await createHarness(app, { concurrency: 1, patience: "20ms" });
  const sent = await slow.delay();
  for (let at = 1; at <= 6; at++) {
    await until(() => runs === at, { what: `run ${at}` });
    await harness.fault.cut("worker-1");
    await harness.fault.heal("worker-1");
    await harness.advance(10);
  }
  await harness.runUntilIdle();
  expect(await harness.outcome(sent)).toMatchObject({ state: "SUCCESS", result: "done", deliveries: 7 });
  harness.check();
});
