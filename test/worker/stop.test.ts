import { describe, expect, test } from "vitest";
import type { Broker } from "../../src/broker.ts";
import { ConnectionError } from "../../src/errors.ts";
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
    await until(() => bench.trace.length === 2, { what: "two stores" });
    const stopped = worker.stop();
    slow.resolve();
    await stopped;
    await done;
    expect(await bench.stored("id-1")).toContain("SUCCESS");
    expect(await bench.stored("nobody")).toContain("NotRegistered");
    // Each after its store.
    expect(bench.trace.slice(2).sort()).toEqual(["settle ack id-1", "settle reject nobody"]);
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

describe("a second stop", () => {
  test("resolves when the first does, with what runs still running until then", async () => {
    await using bench = setup();
    const gate = deferred<void>();
    bench.app.task("t.add", () => gate.promise);
    await bench.pushTask({});
    const { worker, done } = bench.work();
    await until(() => worker.snapshot().active.length === 1, { what: "it runs" });
    const ended: string[] = [];
    const first = worker.stop().then(() => ended.push("first"));
    await bench.broker.count("celery");
    const second = worker.stop().then(() => ended.push("second"));
    await bench.broker.count("celery");
    expect(ended).toEqual([]);
    gate.resolve();
    await Promise.all([first, second, done]);
    expect(ended).toEqual(["first", "second"]);
    expect(bench.unsettled.size).toBe(0);
  });
});

describe("a stop during start-up ends the run without an error", () => {
  test("after any number of turns", async () => {
    for (let turns = 0; turns < 60; turns++) {
      await using bench = setup();
      const { worker, done } = bench.work();
      for (let i = 0; i < turns; i++) await Promise.resolve();
      await worker.stop();
      await expect(done, `after ${turns} turns`).resolves.toBeUndefined();
    }
  });

  /** Runs a worker that is stopped inside one call of its broker, which then goes on as `go` says. */
  async function stoppedIn(
    call: "connect" | "declare" | "consume",
    go: "on" | "never" | "wrong",
  ): Promise<void> {
    const asked = deferred<void>();
    let worker: Worker | undefined;
    const at = <T>(name: typeof call, real: () => T, never: () => T, wrong: () => T): T => {
      if (name !== call || worker === undefined) return real();
      void worker.stop();
      asked.resolve();
      return { on: real, never, wrong }[go]();
    };
    const never = () => new Promise<void>(() => {});
    const wrong = () => Promise.reject(new ConnectionError("broker-unreachable", "Not this time."));
    const wrapBroker = (broker: Broker): Broker =>
      intercept(broker, {
        connect: (options) => at("connect", () => broker.connect(options), never, wrong),
        declare: (entities, options) => at("declare", () => broker.declare(entities, options), never, wrong),
        consume: (...given) => at("consume", () => broker.consume(...given), unused, unused),
      });
    await using bench = setup({ wrapBroker });
    const started = bench.work();
    worker = started.worker;
    await asked.promise;
    await expect(started.done, `${call} goes ${go}`).resolves.toBeUndefined();
    expect(bench.lines.filter((line) => line.level === "error")).toEqual([]);
  }

  test("while it connects, declares and begins to consume, whatever comes of that", async () => {
    for (const go of ["on", "never", "wrong"] as const) {
      await stoppedIn("connect", go);
      await stoppedIn("declare", go);
    }
    await stoppedIn("consume", "on");
  });

  test("while its modules load, even for ever", async () => {
    const loading = deferred<void>();
    const module = deferred<unknown>();
    await using bench = setup({
      include: [() => {
        loading.resolve();
        return module.promise;
      }],
    });
    const { worker, done } = bench.work();
    await loading.promise;
    await worker.stop();
    await expect(done).resolves.toBeUndefined();
    // Nor does it matter any more, and least of all unheard, that the module was broken.
    module.reject(new Error("broken"));
    await bench.broker.count("celery");
  });

  test("before and in the pause between two attempts to connect", async () => {
    for (const late of [false, true]) {
      let worker: Worker | undefined;
      await using bench = setup({
        wrapBroker: (broker) =>
          intercept(broker, {
            connect: () => Promise.reject(new ConnectionError("broker-unreachable", "Nobody is there.")),
          }),
        logger: {
          log(_level, message) {
            if (!message.includes("Trying again")) return;
            if (late) setTimeout(() => void worker?.stop());
            else void worker?.stop();
          },
        },
      });
      const started = bench.work();
      worker = started.worker;
      let ended = false;
      void started.done.then(() => ended = true);
      await until(() => ended, { what: "its end, without the pause of 2 s", deadline: 1500 });
    }
  });
});

function unused(): never {
  throw new Error("not asked for");
}
