import { describe, expect, test } from "vitest";
import type { Running } from "../../src/app/running.ts";
import type { Verdict } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { until } from "../support/wait.ts";
import { type Bench, intercept, setup } from "./setup.ts";

/** What a task does once its signal is aborted. */
type Then = (task: Running) => unknown;

/** Declares `t.add`, which runs until it is told to end; gives the reasons that it was told. */
function declare(bench: Bench, acksLate: boolean, then: Then): unknown[] {
  const reasons: unknown[] = [];
  bench.app.task("t.add", { bind: true, acksLate }, async (task) => {
    await new Promise<void>((resolve) => task.signal.addEventListener("abort", () => resolve()));
    reasons.push(task.signal.reason);
    return await then(task);
  });
  return reasons;
}

function fails(): never {
  throw new Error("cut short");
}

async function started(bench: Bench, ids: readonly string[] = ["id-1"]) {
  for (const id of ids) await bench.pushTask({ id });
  const started = bench.work({ concurrency: 1 });
  await until(() => started.worker.snapshot().active.length === 1, { what: "the first runs" });
  return started;
}

describe("a cold shutdown", () => {
  test("gives back what has not begun and what it cuts short, if that is acked late: all of it runs elsewhere", async () => {
    await using bench = setup();
    const reasons = declare(bench, true, fails);
    const { worker, done } = await started(bench, ["runs", "waits"]);
    await worker.stop({ how: "cold" });
    await done;
    expect(reasons).toMatchObject([{ name: "WorkerShutdownError", code: "worker-shutdown" }]);
    expect(bench.trace).toEqual(expect.arrayContaining(["settle requeue waits", "settle requeue runs"]));
    expect(bench.trace).toHaveLength(2);
    expect(await bench.broker.count("celery")).toBe(2);
    expect(await bench.stored("runs")).toBeUndefined();
    expect(bench.lines.filter((line) => line.level === "error")).toEqual([]);
  });

  test("stores the failure of an early task whose retry the broker does not take", async () => {
    const never = deferred<readonly Verdict[]>();
    await using bench = setup({
      wrapBroker: (broker) =>
        intercept(broker, {
          publish: (batch, options) =>
            batch[0]?.message.headers["retries"] === 1 ? never.promise : broker.publish(batch, options),
        }),
    });
    bench.app.task("t.add", { bind: true, acksLate: false }, (task: Running) => {
      throw task.retry({ countdown: 0 });
    });
    await bench.pushTask({});
    const { worker, done } = bench.work();
    await bench.sees("id-1", "RETRY");
    await worker.stop({ how: "cold" });
    await done;
    expect(await bench.sees("id-1", "FAILURE")).toMatchObject({
      result: { exc_type: "RetryPublishError", exc_message: [expect.stringContaining("could not be sent")] },
    });
    await bench.says(/did not end in time: it is lost/);
    never.resolve([{ is: "unknown", reason: "by the test" }]);
  });

  test("does not begin what is given up while a hook before it is waited for", async () => {
    await using bench = setup();
    let runs = 0;
    bench.app.task("t.add", { acksLate: true }, () => void runs++);
    const gate = deferred<void>();
    let waits = false;
    bench.app.on("taskPrerun", () => {
      waits = true;
      return gate.promise;
    }, { wait: true });
    await bench.pushTask({});
    const { worker, done } = bench.work();
    await until(() => waits, { what: "the hook" });
    await worker.stop({ how: "cold" });
    await done;
    gate.resolve();
    await gate.promise;
    expect(await bench.broker.count("celery")).toBe(1);
    expect(bench.trace).toEqual(["settle requeue id-1"]);
    expect(runs).toBe(0);
  });

  test("uses up no retry of what goes back, though its rules would retry any error", async () => {
    for (const acksLate of [true, false]) {
      await using bench = setup();
      const options = { bind: true, acksLate, autoretryFor: [Error], maxRetries: 3 } as const;
      bench.app.task(
        "t.add",
        options,
        (task: Running) =>
          new Promise((_, fail) =>
            task.signal.addEventListener("abort", () => fail(task.signal.reason as Error))
          ),
      );
      const { worker } = await started(bench);
      await worker.stop({ how: "cold" });
      // Acked early, the retry is all that is left of it.
      expect(bench.trace).toEqual(
        acksLate ? ["settle requeue id-1"] : ["settle ack id-1", "store RETRY id-1", "publish t.add"],
      );
    }
  });

  test("is heeded by the task, not by a hook that looks at its signal: that one has failed by itself", async () => {
    await using bench = setup();
    const gate = deferred<void>();
    bench.app.on("taskPrerun", ({ task }) => task.signal.addEventListener("abort", () => gate.resolve()));
    bench.app.use({ run: (task, next) => (void task.signal, next()) });
    bench.app.task("t.add", { acksLate: true }, async () => {
      await gate.promise;
      throw new Error("its own");
    });
    const { worker } = await started(bench);
    await worker.stop({ how: "cold" });
    expect(bench.trace).toEqual(["store FAILURE id-1", "settle ack id-1"]);
    // Middleware that ends the run for the signal's sake has heeded it.
    await using other = setup();
    other.app.use({
      run: (task) =>
        new Promise((_, fail) =>
          task.signal.addEventListener("abort", () => fail(task.signal.reason as Error))
        ),
    });
    other.app.task("t.add", { acksLate: true }, () => 1);
    const { worker: second } = await started(other);
    await second.stop({ how: "cold" });
    expect(other.trace).toEqual(["settle requeue id-1"]);
  });

  test("stores what is true of one that was acked early: nobody runs it again", async () => {
    await using bench = setup();
    declare(bench, false, fails);
    const { worker } = await started(bench);
    await worker.stop({ how: "cold" });
    expect(await bench.sees("id-1", "FAILURE")).toMatchObject({ result: { exc_message: ["cut short"] } });
    expect(bench.trace).toEqual(["settle ack id-1", "store FAILURE id-1"]);
  });

  test("does not undo what finishes all the same: a success is stored and acked, and never runs again", async () => {
    for (const acksLate of [false, true]) {
      await using bench = setup();
      declare(bench, acksLate, () => "done");
      const { worker } = await started(bench);
      await worker.stop({ how: "cold" });
      expect(await bench.sees("id-1", "SUCCESS")).toMatchObject({ result: "done" });
      expect(await bench.broker.count("celery")).toBe(0);
      expect(bench.unsettled.size).toBe(0);
    }
  });

  test("abandons what goes on after a second: given back, or told as lost; what it comes to later is dropped", async () => {
    for (const acksLate of [false, true]) {
      await using bench = setup();
      const gate = deferred<string>();
      const late = deferred<boolean>();
      declare(bench, acksLate, async (task) => {
        await gate.promise;
        await task.updateState("LATE");
        queueMicrotask(() => late.resolve(true));
        return "late";
      });
      const { worker, done } = await started(bench);
      const begin = Date.now();
      await worker.stop({ how: "cold" });
      await done;
      expect(Date.now() - begin).toBeGreaterThanOrEqual(950);
      expect(bench.unsettled.size).toBe(0);
      expect(worker.snapshot()).toMatchObject({ active: [], concluding: [] });
      await bench.says(acksLate ? /did not end in time: it goes back/ : /did not end in time: it is lost/);
      const trace = [...bench.trace];
      expect(trace).toEqual(acksLate ? ["settle requeue id-1"] : ["settle ack id-1", "store FAILURE id-1"]);
      if (!acksLate) {
        const lost = { exc_type: "WorkerLostError", exc_module: "billiard.exceptions" };
        expect(await bench.sees("id-1", "FAILURE")).toMatchObject({ result: lost });
      }
      gate.resolve("go on");
      await late.promise;
      await bench.broker.count("celery");
      expect(bench.trace).toEqual(trace);
      expect(await bench.broker.count("celery")).toBe(acksLate ? 1 : 0);
    }
  });

  test("waits five seconds at most for a broker that says nothing", async () => {
    let stops = 0;
    await using bench = setup({
      wrapBroker: (broker) =>
        intercept(broker, {
          consume(queues, options) {
            const consumer = broker.consume(queues, options);
            // The first one cancels; the one that flushes gets no answer.
            return intercept(consumer, {
              stop: () => ++stops === 2 ? new Promise<void>(() => {}) : consumer.stop(),
            });
          },
        }),
    });
    declare(bench, true, fails);
    const { worker } = await started(bench);
    const begin = Date.now();
    await worker.stop({ how: "cold" });
    expect(Date.now() - begin).toBeGreaterThanOrEqual(4900);
    expect(stops).toBe(2);
  });
});

describe("a soft shutdown", () => {
  test("waits its time, then goes on cold; the line is Celery's", async () => {
    await using bench = setup({ workerSoftShutdownTimeout: "300ms" });
    declare(bench, true, fails);
    const { worker } = await started(bench, ["runs", "waits"]);
    const stopped = worker.stop({ how: "soft" });
    await bench.says(/^Initiating Soft Shutdown, terminating in 0\.3 seconds$/);
    // What has not begun does not wait with it.
    await until(() => bench.trace.includes("settle requeue waits"), { what: "the other goes back" });
    expect(worker.snapshot().active).toHaveLength(1);
    await stopped;
    expect(bench.trace).toEqual(["settle requeue waits", "settle requeue runs"]);
  });

  test("ends as soon as nothing runs", async () => {
    await using bench = setup();
    const gate = deferred<void>();
    bench.app.task("t.add", () => gate.promise);
    const { worker } = await started(bench);
    const stopped = worker.stop({ how: "soft", grace: "1h" });
    await bench.says(/terminating in 3600 seconds/);
    gate.resolve();
    await stopped;
    await bench.sees("id-1", "SUCCESS");
  });

  test("of an idle worker is told where the setting says so, and has nothing to wait for", async () => {
    for (const workerEnableSoftShutdownOnIdle of [false, true]) {
      await using bench = setup({ workerEnableSoftShutdownOnIdle, workerSoftShutdownTimeout: 3600 });
      const { worker } = bench.work();
      await bench.says(/ready\.$/);
      await worker.stop({ how: "soft" });
      expect(bench.lines.some((line) => line.message.startsWith("Initiating Soft"))).toBe(
        workerEnableSoftShutdownOnIdle,
      );
    }
  });
});

describe("a warm shutdown", () => {
  test("is made harder by a second stop, by its grace, and by its signal, never softer", async () => {
    for (const how of ["stop", "grace", "signal"] as const) {
      await using bench = setup();
      const reasons = declare(bench, true, fails);
      const { worker } = await started(bench);
      const controller = new AbortController();
      const first = worker.stop({
        signal: controller.signal,
        ...(how === "grace" ? { grace: "50ms" } : {}),
      });
      await bench.broker.count("celery");
      if (how !== "grace") expect(reasons).toEqual([]);
      if (how === "stop") void worker.stop({ how: "cold" });
      if (how === "signal") controller.abort();
      void worker.stop();
      await first;
      expect(bench.trace, how).toEqual(["settle requeue id-1"]);
    }
  });

  test("takes options that it knows", async () => {
    await using bench = setup();
    const { worker } = bench.work();
    await expect(worker.stop({ how: "hot" } as never)).rejects.toMatchObject({ code: "option-invalid" });
    await expect(worker.stop({ grace: "soon" } as never)).rejects.toMatchObject({ code: "duration-invalid" });
    await expect(worker.stop({ hwo: "cold" } as never)).rejects.toMatchObject({ code: "option-unknown" });
    await bench.says(/ready\.$/);
  });
});
