import { describe, expect, test } from "vitest";
import type { Running } from "../../src/app/running.ts";
import type { Consumer, Delivery } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { until } from "../support/wait.ts";
import { intercept, setup } from "./setup.ts";

const LINK = {
  task: "t.next",
  args: [10],
  kwargs: {},
  options: { task_id: "link-1" },
  subtask_type: null,
  immutable: false,
};

/** A consumer whose every settlement comes too late. */
function stale(consumer: Consumer): Consumer {
  return intercept(consumer, {
    async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
      for await (const delivery of consumer) {
        yield intercept(delivery, { settle: (how) => delivery.settle(how).then(() => "stale") });
      }
    },
  });
}

describe("the column of a task that succeeds", () => {
  test("acks early, then follows, then stores, then reports", async () => {
    await using bench = setup();
    bench.app.task("t.add", (x: number, y: number) => x + y);
    await bench.pushTask({}, [[2, 3], {}, { callbacks: [LINK], errbacks: null, chain: null, chord: null }]);
    bench.work();
    expect(await bench.sees("id-1", "SUCCESS")).toMatchObject({
      result: 5,
      children: [[["link-1", null], null]],
    });
    expect((await bench.says(/succeeded/)).message).toMatch(
      /^Task t\.add\[id-1\] succeeded in \d+\.\d+s: 5$/,
    );
    const own = bench.trace.filter((step) => /id-1|publish/.test(step));
    expect(own).toEqual(["settle ack id-1", "publish t.next", "store SUCCESS id-1"]);
    const said = bench.lines.filter((line) => line.fields["taskId"] === "id-1").map(({ level, message }) =>
      `${level} ${message}`
    );
    expect(said).toEqual([
      "info Task t.add[id-1] received",
      expect.stringMatching(/^debug Task accepted: t\.add\[id-1\] pid:\d+$/),
      expect.stringMatching(/^info Task t\.add\[id-1\] succeeded in/),
    ]);
  });

  test("acks late, after the result is stored, where the task says so", async () => {
    await using bench = setup();
    bench.app.task("t.add", { acksLate: true }, () => 1);
    await bench.pushTask({});
    bench.work();
    await bench.says(/succeeded/);
    expect(bench.trace).toEqual(["store SUCCESS id-1", "settle ack id-1"]);
  });

  test("acks late where the setting says so, and early where the task overrules it", async () => {
    await using bench = setup({ taskAcksLate: true });
    bench.app.task("t.add", () => 1);
    bench.app.task("t.early", { acksLate: false }, () => 1);
    await bench.pushTask({});
    await bench.pushTask({ task: "t.early", id: "id-2" });
    bench.work({ concurrency: 1 });
    await bench.sees("id-1", "SUCCESS");
    await bench.sees("id-2", "SUCCESS");
    expect(bench.trace.filter((step) => step.endsWith("id-1"))).toEqual([
      "store SUCCESS id-1",
      "settle ack id-1",
    ]);
    expect(bench.trace.filter((step) => step.endsWith("id-2"))).toEqual([
      "settle ack id-2",
      "store SUCCESS id-2",
    ]);
  });

  test("stores null where the task returns nothing, and the id where it returns a result", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => {});
    bench.app.task("t.result", () => bench.app.result("other"));
    await bench.pushTask({});
    await bench.pushTask({ task: "t.result", id: "id-2" });
    bench.work();
    expect((await bench.sees("id-1", "SUCCESS"))["result"]).toBe(null);
    expect((await bench.sees("id-2", "SUCCESS"))["result"]).toEqual([["other", null], null]);
  });

  test("tells a shadow in place of the name, as Celery does", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => 1);
    await bench.pushTask({ shadow: "pretty.name" });
    bench.work();
    await bench.says(/^Task pretty\.name\[id-1\] succeeded/);
  });
});

describe("the column of a task that fails", () => {
  test("stores the failure, reports it with its traceback, and is acked", async () => {
    await using bench = setup();
    bench.app.task("t.add", { acksLate: true }, () => {
      throw new RangeError("boom");
    });
    await bench.pushTask({});
    bench.work();
    const stored = await bench.sees("id-1", "FAILURE");
    expect(stored["result"]).toEqual({
      exc_type: "RangeError",
      exc_message: ["boom"],
      exc_module: "celeriac",
    });
    expect(stored["traceback"]).toContain("request.test.ts");
    const line = await bench.says(/raised/);
    expect(line).toMatchObject({
      level: "error",
      message: "Task t.add[id-1] raised unexpected: RangeError('boom')",
    });
    expect(line.fields["traceback"]).toContain("request.test.ts");
    expect(bench.trace).toEqual(["store FAILURE id-1", "settle ack id-1"]);
  });

  test("is rejected under late ack where the setting does not ack failures", async () => {
    await using bench = setup({ taskAcksOnFailureOrTimeout: false });
    bench.app.task("t.add", { acksLate: true }, () => {
      throw new Error("boom");
    });
    await bench.pushTask({});
    bench.work();
    await bench.says(/raised/);
    expect(bench.trace).toEqual(["store FAILURE id-1", "settle reject id-1"]);
  });

  test.each([
    ["what is no error", () => Promise.reject("just text"), {
      exc_type: "Error",
      exc_message: ["just text"],
    }],
    ["nothing", () => Promise.reject(undefined), { exc_type: "Error" }],
    [
      "a name that Python knows",
      () => Promise.reject(Object.assign(new Error("k"), { name: "KeyError" })),
      { exc_type: "KeyError", exc_message: ["k"], exc_module: "builtins" },
    ],
  ])("may throw %s", async (_what, body, result) => {
    await using bench = setup();
    bench.app.task("t.add", body);
    await bench.pushTask({});
    bench.work();
    expect((await bench.sees("id-1", "FAILURE"))["result"]).toMatchObject(result);
  });

  test("fails with Python's sentence where the arguments do not fit", async () => {
    await using bench = setup();
    bench.app.task("t.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
    await bench.pushTask({}, [[1], { z: 2 }, {}]);
    bench.work();
    expect((await bench.sees("id-1", "FAILURE"))["result"]).toMatchObject({
      exc_type: "TypeError",
      exc_module: "builtins",
      exc_message: ["t.add() got an unexpected keyword argument 'z'"],
    });
  });

  test("fails where the result has no JSON form", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => ({ f: () => 1 }));
    await bench.pushTask({});
    bench.work();
    const stored = await bench.sees("id-1", "FAILURE");
    expect(stored["result"]).toMatchObject({ exc_type: "EncodeError" });
    await bench.says(/raised unexpected: EncodeError\(/);
  });
});

describe("what is stored", () => {
  test("is nothing where the result is ignored, and failures only by the setting", async () => {
    await using bench = setup({ taskIgnoreResult: true });
    bench.app.task("t.add", (fails?: boolean) => {
      if (fails === true) throw new Error("boom");
    });
    await bench.pushTask({});
    await bench.pushTask({ id: "id-2" }, [[true], {}, {}]);
    bench.work();
    await bench.says(/raised/);
    await bench.says(/succeeded/);
    expect(bench.trace.filter((step) => step.startsWith("store"))).toEqual([]);
  });

  test.each<[header: boolean | null, task: boolean | undefined, setting: boolean, ignored: boolean]>([
    [null, undefined, false, false],
    [null, undefined, true, true],
    [null, false, true, false],
    [null, true, false, true],
    [false, true, true, false],
    [true, false, false, true],
  ])("header %s, task %s, setting %s: ignored is %s", async (header, task, setting, ignored) => {
    await using bench = setup({ taskIgnoreResult: setting, taskStoreErrorsEvenIfIgnored: true });
    bench.app.task("t.add", task === undefined ? {} : { ignoreResult: task }, () => 1);
    await bench.pushTask({ ignore_result: header });
    bench.work();
    await bench.says(/succeeded/);
    expect(bench.trace.includes("store SUCCESS id-1")).toBe(!ignored);
  });

  test("is the failure of an ignored task where the setting says so", async () => {
    await using bench = setup({ taskIgnoreResult: true, taskStoreErrorsEvenIfIgnored: true });
    bench.app.task("t.add", () => {
      throw new Error("boom");
    });
    await bench.pushTask({});
    bench.work();
    await bench.sees("id-1", "FAILURE");
  });

  test("tells of the start where the task is tracked, and of its own states", async () => {
    await using bench = setup({ taskTrackStarted: true });
    const go = deferred<void>();
    bench.app.task("t.add", { bind: true }, async (task: Running) => {
      await task.updateState("PROGRESS", { done: 1, total: 2 });
      await go.promise;
      return "done";
    });
    await bench.pushTask({});
    const { worker } = bench.work({ hostname: "w1@box" });
    expect(await bench.sees("id-1", "PROGRESS")).toEqual({
      status: "PROGRESS",
      result: { done: 1, total: 2 },
      traceback: null,
      children: [],
      date_done: null,
      task_id: "id-1",
    });
    expect(worker.snapshot().active.map((task) => task.id)).toEqual(["id-1"]);
    go.resolve();
    await bench.sees("id-1", "SUCCESS");
    expect(bench.trace).toEqual([
      "settle ack id-1",
      "store STARTED id-1",
      "store PROGRESS id-1",
      "store SUCCESS id-1",
    ]);
  });

  test("is never an own state after the end, however slow the backend is", async () => {
    const slow = deferred<void>();
    await using bench = setup({
      wrapBackend: (backend) =>
        intercept(backend, {
          async store(record, options) {
            if (record.status === "STARTED") await slow.promise;
            return await backend.store(record, options);
          },
        }),
    });
    const late = deferred<() => Promise<void>>();
    bench.app.task("t.add", { bind: true, trackStarted: true }, (task: Running) => {
      late.resolve(() => task.updateState("LATE"));
      throw new Error("boom");
    });
    await bench.pushTask({});
    bench.work();
    const update = await late.promise;
    slow.resolve();
    await bench.sees("id-1", "FAILURE");
    await update();
    expect((await bench.stored("id-1"))?.includes("FAILURE")).toBe(true);
    expect(bench.trace.filter((step) => step.startsWith("store"))).toEqual([
      "store STARTED id-1",
      "store FAILURE id-1",
    ]);
  });

  test("has the fields of result_extended by the setting", async () => {
    await using bench = setup({ resultExtended: true });
    bench.app.task("t.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
    await bench.pushTask({ retries: 2 }, [[2.5], { y: 3 }, {}]);
    bench.work({ hostname: "w1@box" });
    expect(await bench.sees("id-1", "SUCCESS")).toMatchObject({
      name: "t.add",
      args: [2.5],
      kwargs: { y: 3 },
      worker: "w1@box",
      retries: 2,
      queue: "celery",
    });
  });

  test("is kept for as long as the setting says", async () => {
    const ttls: (number | undefined)[] = [];
    await using bench = setup({
      resultExpires: 60,
      wrapBackend: (backend) =>
        intercept(backend, {
          store(record, options) {
            ttls.push(options.ttl);
            return backend.store(record, options);
          },
        }),
    });
    bench.app.task("t.add", () => 1);
    await bench.pushTask({});
    bench.work();
    await bench.sees("id-1", "SUCCESS");
    expect(ttls).toEqual([60_000]);
  });
});

describe("trouble around a task", () => {
  test("a backend that is down is told, and the worker goes on", async () => {
    let down = true;
    await using bench = setup({
      wrapBackend: (backend) =>
        intercept(backend, {
          store: (record, options) =>
            down ? Promise.reject(new Error("down")) : backend.store(record, options),
        }),
    });
    bench.app.task("t.add", { acksLate: true }, () => 1);
    await bench.pushTask({});
    bench.work();
    const line = await bench.says(/Couldn't store SUCCESS/);
    expect(line).toMatchObject({ level: "error", fields: { code: "result-store-failed", taskId: "id-1" } });
    await until(() => bench.trace.includes("settle ack id-1"), { what: "the ack" });
    down = false;
    await bench.pushTask({ id: "id-2" });
    await bench.sees("id-2", "SUCCESS");
  });

  test("without a backend a task runs all the same", async () => {
    await using bench = setup();
    const { Celery } = await import("../../src/app/app.ts");
    const ran = deferred<number>();
    const app = new Celery("none", { broker: bench.broker });
    app.task("t.add", (x: number) => ran.resolve(x));
    const { Worker } = await import("../../src/worker/worker.ts");
    await using worker = new Worker(app);
    const done = worker.run();
    await bench.pushTask({}, [[7], {}, {}]);
    expect(await ran.promise).toBe(7);
    await worker.stop();
    await done;
  });

  test("a settlement that came too late is told as Celery tells it, and the task has run", async () => {
    await using bench = setup({
      wrapBroker: (broker) => intercept(broker, { consume: (...args) => stale(broker.consume(...args)) }),
    });
    bench.app.task("t.add", { acksLate: true }, () => 1);
    await bench.pushTask({});
    bench.work();
    expect(await bench.says(/^Couldn't ack t\.add\[id-1\], reason: /)).toMatchObject({ level: "warning" });
    await bench.sees("id-1", "SUCCESS");
  });
});

describe("the running task", () => {
  test("sees its own message", async () => {
    await using bench = setup();
    const seen = deferred<Record<string, unknown>>();
    bench.app.task("t.add", { bind: true }, (task: Running) => {
      seen.resolve({
        id: task.id,
        name: task.name,
        args: task.args,
        kwargs: task.kwargs,
        retries: task.retries,
        rootId: task.rootId,
        parentId: task.parentId,
        groupId: task.groupId,
        hostname: task.hostname,
        headers: task.headers,
        delivery: task.delivery,
        aborted: task.signal.aborted,
      });
    });
    await bench.pushTask({ retries: 1, root_id: "r", parent_id: "p", group: "g", "x-tenant": "acme" }, [
      [],
      {},
      {},
    ]);
    bench.work({ hostname: "w1@box" });
    expect(await seen.promise).toEqual({
      id: "id-1",
      name: "t.add",
      args: [],
      kwargs: {},
      retries: 1,
      rootId: "r",
      parentId: "p",
      groupId: "g",
      hostname: "w1@box",
      headers: { "x-tenant": "acme" },
      delivery: { exchange: "", routingKey: "celery", queue: "celery", priority: 0, redelivered: false },
      aborted: false,
    });
  });

  test("logs in Celery's task format", async () => {
    await using bench = setup();
    bench.app.task("t.add", { bind: true }, (task: Running) => task.log.warning("look out", { extra: 1 }));
    await bench.pushTask({});
    bench.work();
    expect(await bench.says(/look out/)).toEqual({
      level: "warning",
      message: "t.add[id-1]: look out",
      fields: { extra: 1, taskId: "id-1", taskName: "t.add" },
    });
  });

  test("sends children that know their parent and root and are listed in its result", async () => {
    await using bench = setup();
    bench.app.task("t.child", () => 1);
    bench.app.task("t.add", { bind: true }, async (task: Running) => {
      const explicit = await task.send("t.child");
      const ambient = await bench.app.sendTask("t.child");
      await bench.app.sendTask("t.child", { addToParent: false });
      return [explicit.id, ambient.id];
    });
    await bench.pushTask({ root_id: "root" });
    bench.work();
    const stored = await bench.sees("id-1", "SUCCESS");
    const [explicit, ambient] = stored["result"] as string[];
    expect(stored["children"]).toEqual([[[explicit, null], null], [[ambient, null], null]]);
    for (const id of [explicit, ambient]) {
      expect(await bench.sees(String(id), "SUCCESS")).toMatchObject({ parent_id: "id-1" });
    }
  });
});
