import { describe, expect, test } from "vitest";
import { ConnectionError } from "../../src/errors.ts";
import type { Backend } from "../../src/backend.ts";
import { until } from "../support/wait.ts";
import { type Bench, intercept, setup, type SetupOptions } from "./setup.ts";

const QUICK = { resultBackendBaseSleepBetweenRetriesMs: 1, resultBackendMaxSleepBetweenRetriesMs: 20 };

interface Trouble {
  readonly bench: Bench;
  down: boolean;
  /** How often a store was tried while it was down. */
  tries: number;
}

/** A bench whose backend can be put out of reach. */
function trouble(options: SetupOptions = {}, refuses = (): Error => unreachable()): Trouble {
  const state = {
    down: true,
    tries: 0,
    bench: setup({
      ...QUICK,
      ...options,
      wrapBackend: (backend: Backend) =>
        intercept(backend, {
          store(record, call) {
            if (!state.down) return backend.store(record, call);
            state.tries++;
            return Promise.reject(refuses());
          },
        }),
    }),
  };
  return state;
}

function unreachable(): Error {
  return new ConnectionError("backend-unreachable", "Nobody is there.");
}

function codes(bench: Bench, code: string): string[] {
  return bench.lines.filter(({ fields }) => fields["code"] === code).map(({ message }) => message);
}

describe("a result that the backend does not take", () => {
  test("is kept, told of, and stored when the backend is back; the task is acked meanwhile", async () => {
    const state = trouble();
    await using bench = state.bench;
    bench.app.task("t.add", { acksLate: true }, (n: number) => n);
    for (const id of ["a", "b", "c"]) await bench.pushTask({ id }, [[1], {}, {}]);
    const { worker } = bench.work();
    await until(() => bench.unsettled.size === 0 && state.tries > 3, { what: "acks, and more tries" });
    expect(worker.snapshot().unstored).toMatchObject({ waiting: 3, dropped: 0 });
    expect(codes(bench, "result-store-failed")).toHaveLength(3);
    state.down = false;
    for (const id of ["a", "b", "c"]) await bench.sees(id, "SUCCESS");
    await bench.says(/^Stored \d results that had been kept/);
    await until(() => worker.snapshot().unstored.waiting === 0, { what: "nothing is left" });
    expect(worker.snapshot().unstored).toEqual({ waiting: 0, bytes: 0, dropped: 0 });
    // And the next one goes there directly.
    await bench.pushTask({ id: "d" }, [[1], {}, {}]);
    await bench.sees("d", "SUCCESS");
    expect(codes(bench, "result-store-failed")).toHaveLength(3);
  });

  test("is not kept where it is RETRY: stored late, it would land on how the retry ended elsewhere", async () => {
    const state = trouble();
    await using bench = state.bench;
    bench.app.task("t.again", { bind: true, acksLate: true }, (task) => {
      throw task.retry({ countdown: 3600 });
    });
    await bench.pushTask({ task: "t.again" });
    const { worker } = bench.work();
    await until(() => bench.trace.includes("settle ack id-1"), { what: "the ack" });
    expect(codes(bench, "result-store-failed")).toEqual([
      expect.stringMatching(/^Couldn't store RETRY of task t\.again\[id-1\]: .*Nobody is there\.'?\)$/),
    ]);
    expect(worker.snapshot().unstored).toEqual({ waiting: 0, bytes: 0, dropped: 0 });
  });

  test("is bounded in number and in bytes: the oldest is told and dropped", async () => {
    for (
      const bounds of [{ resultSpoolMaxRecords: 2 }, { resultSpoolMaxBytes: 400 }, {
        resultSpoolMaxRecords: 0,
      }]
    ) {
      const state = trouble(bounds);
      await using bench = state.bench;
      bench.app.task("t.add", () => 1);
      const ids = ["a", "b", "c", "d"];
      const { worker } = bench.work({ concurrency: 1 });
      for (const id of ids) await bench.pushTask({ id });
      await until(() => worker.snapshot().totals.get("t.add") === 4, { what: "all have run" });
      const kept = bounds.resultSpoolMaxRecords ?? 2;
      expect(worker.snapshot().unstored).toMatchObject({ waiting: kept, dropped: 4 - kept });
      expect(codes(bench, "result-dropped")).toHaveLength(4 - kept);
      state.down = false;
      for (const id of ids.slice(4 - kept)) await bench.sees(id, "SUCCESS");
      // Nothing was kept, and yet it is noticed that the backend is back.
      await bench.pushTask({ id: "e" });
      await bench.sees("e", "SUCCESS");
    }
  });

  test("is given up after resultBackendMaxRetries, and at once where the error will not pass", async () => {
    const state = trouble({ resultBackendMaxRetries: 3 });
    await using bench = state.bench;
    bench.app.task("t.add", () => 1);
    await bench.pushTask({});
    bench.work();
    await bench.says(/^Gave up storing SUCCESS of task t\.add\[id-1\]: 3 tries failed\.$/);
    expect(state.tries).toBe(4);
    const wrong = trouble({}, () => new Error("a defect"));
    await using other = wrong.bench;
    other.app.task("t.add", () => 1);
    await other.pushTask({});
    const { worker } = other.work();
    await other.says(/Couldn't store SUCCESS of task t\.add\[id-1\]: .*a defect.*\)$/);
    expect([wrong.tries, worker.snapshot().unstored]).toEqual([1, { waiting: 0, bytes: 0, dropped: 1 }]);
  });

  test("that one refuses holds up no other", async () => {
    let refused = 0;
    await using bench = setup({
      ...QUICK,
      wrapBackend: (backend) =>
        intercept(backend, {
          store(record, call) {
            if (record.taskId !== "bad") return backend.store(record, call);
            refused++;
            return Promise.reject(new ConnectionError("backend-refused", "Too large."));
          },
        }),
    });
    bench.app.task("t.add", () => 1);
    await bench.pushTask({ id: "bad" });
    const { worker } = bench.work();
    await until(() => refused > 3, { what: "it is tried again" });
    await bench.pushTask({ id: "good" });
    await bench.sees("good", "SUCCESS");
    expect(worker.snapshot().unstored.waiting).toBe(1);
  });

  test("is waited for by its task with resultBackendAlwaysRetry, and no more tasks begin than may be on their way", async () => {
    const state = trouble({ resultBackendAlwaysRetry: true });
    await using bench = state.bench;
    bench.app.task("t.add", () => 1);
    for (let at = 0; at < 9; at++) await bench.pushTask({ id: `id-${at}` });
    const { worker } = bench.work({ concurrency: 1 });
    await until(() => worker.snapshot().concluding.length >= 4 && state.tries > 9, { what: "four wait" });
    // One may have had its slot on the way.
    expect(worker.snapshot().concluding.length).toBeLessThan(6);
    expect(worker.snapshot().active).toEqual([]);
    state.down = false;
    for (let at = 0; at < 9; at++) await bench.sees(`id-${at}`, "SUCCESS");
  });
});

describe("a late ack where a failed store is none (taskAcksOnStoreFailure: false)", () => {
  test("waits for the result, and goes back at the stop: it runs again, and its state is right (A24)", async () => {
    const state = trouble({ taskAcksOnStoreFailure: false, resultBackendMaxRetries: 2 });
    await using bench = state.bench;
    let runs = 0;
    bench.app.task("t.add", { acksLate: true }, () => ++runs);
    await bench.pushTask({});
    const first = bench.work();
    await until(() => bench.trace.includes("settle requeue id-1"), {
      what: "it goes back, after some tries",
    });
    expect(bench.trace).not.toContain("settle ack id-1");
    state.down = false;
    await bench.sees("id-1", "SUCCESS");
    await until(() => bench.trace.includes("settle ack id-1"), { what: "the ack" });
    expect(bench.trace.lastIndexOf("store SUCCESS id-1")).toBeLessThan(
      bench.trace.indexOf("settle ack id-1"),
    );
    expect(runs).toBeGreaterThan(1);
    await first.worker.stop();
  });

  test("is not taken for done where known successes are not run again", async () => {
    const state = trouble({
      taskAcksOnStoreFailure: false,
      resultBackendMaxRetries: 1,
      resultBackendMaxSleepBetweenRetriesMs: 50,
      workerDeduplicateSuccessfulTasks: "always",
    });
    await using bench = state.bench;
    bench.app.task("t.add", { acksLate: true }, () => 1);
    await bench.pushTask({});
    bench.work();
    await until(() => bench.trace.includes("settle requeue id-1"), { what: "it goes back" });
    state.down = false;
    await bench.sees("id-1", "SUCCESS");
  });

  test("is none of an early ack's", async () => {
    const state = trouble({ taskAcksOnStoreFailure: false });
    await using bench = state.bench;
    bench.app.task("t.add", () => 1);
    await bench.pushTask({});
    const { worker } = bench.work();
    await until(() => worker.snapshot().totals.size === 1, { what: "its end" });
    expect(bench.trace).toContain("settle ack id-1");
    state.down = false;
    await bench.sees("id-1", "SUCCESS");
  });
});

describe("at the stop", () => {
  test("what is kept is stored where the backend comes back in time", async () => {
    const state = trouble();
    await using bench = state.bench;
    bench.app.task("t.add", () => 1);
    await bench.pushTask({});
    const { worker } = bench.work();
    await until(() => state.tries > 1, { what: "it is tried again" });
    const stopped = worker.stop();
    state.down = false;
    await stopped;
    expect(await bench.stored("id-1")).toContain("SUCCESS");
  });

  test("is told and dropped otherwise: cold, after three seconds", async () => {
    const state = trouble({ resultBackendAlwaysRetry: true });
    await using bench = state.bench;
    bench.app.task("t.add", () => 1);
    await bench.pushTask({});
    const { worker } = bench.work();
    await until(() => state.tries > 1, { what: "it is tried again" });
    const begin = Date.now();
    await worker.stop({ how: "cold" });
    expect(Date.now() - begin).toBeGreaterThanOrEqual(2900);
    expect(codes(bench, "result-dropped")).toEqual([
      "Gave up storing SUCCESS of task t.add[id-1]: the worker stops.",
    ]);
    expect(worker.snapshot()).toMatchObject({ concluding: [], unstored: { waiting: 0, dropped: 1 } });
  });
});
