import { describe, expect, test } from "vitest";
import { deferred } from "../../src/lib/deferred.ts";
import { Worker } from "../../src/worker/worker.ts";
import { until } from "../support/wait.ts";
import { intercept, setup } from "./setup.ts";

describe("stopping a worker", () => {
  test("lets running tasks finish, gives back what has not begun, and holds nothing afterwards", async () => {
    await using bench = setup();
    const gate = deferred<void>();
    bench.app.task("t.add", async () => {
      await gate.promise;
      return "finished";
    });
    for (let i = 0; i < 5; i++) await bench.pushTask({ id: `id-${i}` });
    const { worker, done } = bench.work({ concurrency: 2 });
    await until(() => worker.snapshot().active.length === 2 && worker.snapshot().reserved.length === 3, {
      what: "two run, three wait",
    });
    const stopped = worker.stop();
    await until(() => worker.snapshot().reserved.length === 0, { what: "the three given back" });
    await bench.pushTask({ id: "late" });
    let ended = false;
    void done.then(() => ended = true);
    expect(worker.snapshot().active.length).toBe(2);
    expect(ended).toBe(false);
    gate.resolve();
    await stopped;
    await done;
    expect(await bench.broker.count("celery")).toBe(4);
    expect(JSON.parse(String(await bench.stored("id-0")))).toMatchObject({ result: "finished" });
    expect(JSON.parse(String(await bench.stored("id-1")))).toMatchObject({ result: "finished" });
    expect(bench.unsettled.size).toBe(0);
    expect([worker.snapshot().active.length, worker.snapshot().reserved.length]).toEqual([0, 0]);
  });

  test("waits for late acks and slow results", async () => {
    const slow = deferred<void>();
    await using bench = setup({
      wrapBackend: (backend) =>
        intercept(backend, {
          async store(record, options) {
            await slow.promise;
            return await backend.store(record, options);
          },
        }),
    });
    bench.app.task("t.add", { acksLate: true }, () => 1);
    await bench.pushTask({});
    // Its failure is stored on the side, without a run.
    await bench.push({
      headers: { task: "t.nobody", id: "nobody" },
      body: new TextEncoder().encode("[[], {}, {}]"),
    });
    const { worker, done } = bench.work();
    await until(() => bench.trace.length === 3, { what: "two stores and a reject" });
    const stopped = worker.stop();
    slow.resolve();
    await stopped;
    await done;
    expect(await bench.stored("id-1")).toContain("SUCCESS");
    expect(await bench.stored("nobody")).toContain("NotRegistered");
    expect(bench.unsettled.size).toBe(0);
  });

  test("waits for what follows a task that has run", async () => {
    const slow = deferred<void>();
    await using bench = setup({
      wrapBroker: (broker) =>
        intercept(broker, {
          async publish(batch, call) {
            if (batch.some(({ message }) => message.headers["task"] === "t.next")) await slow.promise;
            return await broker.publish(batch, call);
          },
        }),
    });
    bench.app.task("t.add", { acksLate: true }, () => 1);
    const link = { task: "t.next", args: [], kwargs: {}, options: {}, subtask_type: null, immutable: false };
    await bench.pushTask({}, [[], {}, { callbacks: [link], errbacks: null, chain: null, chord: null }]);
    const { worker, done } = bench.work();
    await until(() => worker.snapshot().concluding.length === 1, { what: "its link is on its way" });
    const stopped = worker.stop();
    let ended = false;
    void stopped.then(() => ended = true);
    await bench.broker.count("celery");
    expect(ended).toBe(false);
    slow.resolve();
    await stopped;
    await done;
    expect(bench.trace).toEqual(["publish t.next", "store SUCCESS id-1", "settle ack id-1"]);
    expect(bench.unsettled.size).toBe(0);
  });

  test("is the end of `await using`, and of one that never ran", async () => {
    await using bench = setup();
    {
      await using worker = new Worker(bench.app);
      void worker;
    }
    const worker = new Worker(bench.app);
    await worker.stop();
    await expect(worker.run()).rejects.toMatchObject({ code: "worker-used" });
    let done: Promise<void> | undefined;
    {
      await using running = new Worker(bench.app);
      done = running.run();
      await bench.says(/ready\.$/);
    }
    await done;
  });

  test("may be asked for while it starts, and twice", async () => {
    await using bench = setup();
    const { worker, done } = bench.work();
    await Promise.all([worker.stop(), worker.stop()]);
    await done;
    await expect(worker.run()).rejects.toMatchObject({ code: "worker-used" });
  });

  test("another worker takes what was given back", async () => {
    await using bench = setup();
    const gate = deferred<void>();
    bench.app.task("t.add", () => gate.promise);
    for (let i = 0; i < 3; i++) await bench.pushTask({ id: `id-${i}` });
    const first = bench.work({ concurrency: 1 });
    await until(() => first.worker.snapshot().reserved.length === 2, { what: "two in line" });
    const stopped = first.worker.stop();
    const second = bench.work({ concurrency: 2 });
    await until(() => second.worker.snapshot().active.length === 2, { what: "both run elsewhere" });
    gate.resolve();
    await stopped;
    for (let i = 0; i < 3; i++) await bench.sees(`id-${i}`, "SUCCESS");
  });
});
