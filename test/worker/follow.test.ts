import { describe, expect, test } from "vitest";
import type { Broker } from "../../src/broker.ts";
import { Ignore } from "../../mod.ts";
import { intercept, setup } from "./setup.ts";

const NONE = { callbacks: null, errbacks: null, chain: null, chord: null };

function signature(task: string, args: unknown[], options: Record<string, unknown>, immutable = false) {
  return { task, args, kwargs: {}, options, subtask_type: null, immutable };
}

/** A broker that takes everything but one task. */
function refusing(broker: Broker, task: string): Broker {
  return intercept(broker, {
    publish: (batch, call) =>
      batch.some(({ message }) => message.headers["task"] === task)
        ? Promise.resolve(batch.map(() => ({ is: "refused", reason: "full", retry: false })))
        : broker.publish(batch, call),
  });
}

describe("links", () => {
  test("run with the result put before their own arguments, as children of the task", async () => {
    await using bench = setup();
    bench.app.task("t.add", (x: number, y: number) => x + y);
    const link = signature("t.add", [10], { task_id: "next" });
    await bench.pushTask({ root_id: "root" }, [[2, 3], {}, { ...NONE, callbacks: [link] }]);
    bench.work();
    expect(await bench.sees("next", "SUCCESS")).toMatchObject({ result: 15, parent_id: "id-1" });
    expect(await bench.sees("id-1", "SUCCESS")).toMatchObject({ children: [[["next", null], null]] });
  });

  test("that are immutable take nothing from the task", async () => {
    await using bench = setup();
    bench.app.task("t.add", (...all: number[]) => all);
    const link = signature("t.add", [10], { task_id: "next" }, true);
    await bench.pushTask({}, [[2, 3], {}, { ...NONE, callbacks: [link] }]);
    bench.work();
    expect((await bench.sees("next", "SUCCESS"))["result"]).toEqual([10]);
  });

  test("of which there are several go out as a group, as Celery sends them", async () => {
    await using bench = setup();
    bench.app.task("t.add", (x: number, y: number) => x + y);
    const links = [
      signature("t.add", [10], { task_id: "one" }),
      signature("t.add", [20], { task_id: "two" }),
    ];
    await bench.pushTask({}, [[2, 3], {}, { ...NONE, callbacks: links }]);
    bench.work();
    const one = await bench.sees("one", "SUCCESS");
    const two = await bench.sees("two", "SUCCESS");
    expect([one["result"], two["result"]]).toEqual([15, 25]);
    expect(one["group_id"]).toEqual(expect.any(String));
    expect(two["group_id"]).toBe(one["group_id"]);
    expect((await bench.sees("id-1", "SUCCESS"))["children"]).toEqual([
      [[one["group_id"], null], [[["one", null], null], [["two", null], null]]],
    ]);
  });

  test("are not sent where the task failed", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => {
      throw new Error("boom");
    });
    const link = signature("t.next", [], { task_id: "next" });
    await bench.pushTask({}, [[], {}, { ...NONE, callbacks: [link] }]);
    bench.work();
    await bench.says(/raised unexpected/);
    expect(bench.trace.filter((step) => step.startsWith("publish"))).toEqual([]);
  });
});

describe("a chain", () => {
  test("goes on with its last element, and passes the rest on with it", async () => {
    await using bench = setup();
    bench.app.task("t.add", (x: number, y: number) => x + y);
    const third = signature("t.add", [100], { task_id: "third" });
    const second = signature("t.add", [10], { task_id: "second" });
    await bench.pushTask({}, [[1, 2], {}, { ...NONE, chain: [third, second] }]);
    bench.work();
    expect(await bench.sees("third", "SUCCESS")).toMatchObject({ result: 113, parent_id: "second" });
    expect(await bench.sees("second", "SUCCESS")).toMatchObject({
      result: 13,
      parent_id: "id-1",
      children: [[["third", null], null]],
    });
  });

  test("ends with a failure, which each task that was to come has too", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => {
      throw new RangeError("boom");
    });
    const third = signature("t.third", [], { task_id: "third", group_id: "g" });
    const second = signature("t.second", [], { task_id: "second" });
    const anonymous = signature("t.anonymous", [], {});
    await bench.pushTask({}, [[], {}, { ...NONE, chain: [third, anonymous, second] }]);
    bench.work();
    const failure = await bench.sees("id-1", "FAILURE");
    expect(await bench.sees("second", "FAILURE")).toMatchObject({
      result: failure["result"],
      traceback: failure["traceback"],
      children: [],
    });
    expect(await bench.sees("third", "FAILURE")).toMatchObject({ result: failure["result"], group_id: "g" });
    expect(bench.trace).toEqual([
      "settle ack id-1",
      "store FAILURE id-1",
      "store FAILURE third",
      "store FAILURE second",
    ]);
  });

  test("passes a peer's signature on value for value", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => 1);
    // 1.0, microseconds and a big integer, as Python writes them.
    const text =
      '[[], {}, {"callbacks": null, "errbacks": null, "chain": [{"task": "t.last", "args": [1.0, 12345678901234567890, ' +
      '{"__type__": "datetime", "__value__": "2024-05-28T01:02:03.456789"}], "kwargs": {"f": 1e22}, "options": {"task_id": "last"}, ' +
      '"subtask_type": null, "immutable": false}, {"task": "t.add", "args": [], "kwargs": {}, "options": {"task_id": "mid"}, ' +
      '"subtask_type": null, "immutable": true}], "chord": null}]';
    await bench.push({ headers: { task: "t.add", id: "id-1" }, body: new TextEncoder().encode(text) });
    bench.work();
    await bench.says(/Received unregistered task of type 't\.last'/);
    const line = await bench.says(/unregistered/);
    expect(line.message).toContain("12345678901234567890");
    expect(line.message).toContain("456789");
    expect(line.message).toMatch(/\[\[1, 1\.0, |\[1\.0, /);
  });
});

describe("error callbacks", () => {
  test("get the id of the failed task, after its result is stored", async () => {
    await using bench = setup();
    bench.app.task("t.add", { acksLate: true }, () => {
      throw new Error("boom");
    });
    bench.app.task("t.failed", (id: string) => `heard of ${id}`);
    const errback = signature("t.failed", [], { task_id: "heard" });
    await bench.pushTask({}, [[], {}, { ...NONE, errbacks: [errback] }]);
    bench.work();
    expect(await bench.sees("heard", "SUCCESS")).toMatchObject({
      result: "heard of id-1",
      parent_id: "id-1",
      group_id: expect.any(String),
    });
    const own = bench.trace.filter((step) => /id-1|publish/.test(step));
    expect(own).toEqual(["store FAILURE id-1", "publish t.failed", "settle ack id-1"]);
    expect((await bench.sees("id-1", "FAILURE"))["children"]).toEqual([]);
  });

  test("that cannot be sent are told, and the failure stands", async () => {
    await using bench = setup({
      taskPublishRetry: false,
      wrapBroker: (broker) => refusing(broker, "t.failed"),
    });
    bench.app.task("t.add", () => {
      throw new Error("boom");
    });
    await bench.pushTask({}, [[], {}, { ...NONE, errbacks: [signature("t.failed", [], {})] }]);
    bench.work();
    await bench.sees("id-1", "FAILURE");
    expect(await bench.says(/could not send its error callbacks/)).toMatchObject({
      level: "error",
      fields: { code: "errback-failed", taskId: "id-1" },
    });
  });
});

test("a chain that ends early, however long it is, is told to the backend a few at a time", async () => {
  const last = 300;
  let [now, most] = [0, 0];
  await using bench = setup({
    wrapBackend: (backend) =>
      intercept(backend, {
        async store(record, options) {
          most = Math.max(most, ++now);
          // Another turn, as a real backend's answer takes.
          await new Promise((resolve) => setTimeout(resolve, 1));
          now--;
          return await backend.store(record, options);
        },
      }),
  });
  bench.app.task("t.add", () => {
    throw new RangeError("no");
  });
  const chain = Array.from(
    { length: last + 1 },
    (_, at) => signature("t.next", [], { task_id: `next-${at}` }),
  );
  await bench.pushTask({}, [[], {}, { ...NONE, chain }]);
  bench.work();
  await bench.sees(`next-${last}`, "FAILURE");
  expect(most).toBe(32);
  const ids = chain.map(({ options }) => String(options["task_id"]));
  const records = await bench.backend.load(ids);
  expect(records.filter((record) => record?.status === "FAILURE").length).toBe(chain.length);
});

test("a task whose next one cannot be sent fails, and the rest of its chain learns so", async () => {
  await using bench = setup({
    taskPublishRetry: false,
    wrapBroker: (broker) => refusing(broker, "t.next"),
  });
  bench.app.task("t.add", () => 1);
  await bench.pushTask({}, [[], {}, { ...NONE, chain: [signature("t.next", [], { task_id: "next" })] }]);
  bench.work();
  expect((await bench.sees("id-1", "FAILURE"))["result"]).toMatchObject({ exc_type: "PublishError" });
  expect((await bench.sees("next", "FAILURE"))["result"]).toMatchObject({ exc_type: "PublishError" });
});

test("a chain of 20,000 tasks goes on: a step costs no more than its length, which contentLimits bounds", async () => {
  await using bench = setup();
  bench.app.task("t.add", () => 1);
  // The second one ends it without a word to the others.
  bench.app.task("t.end", () => {
    throw new Ignore();
  });
  const rest = Array.from(
    { length: 20_000 },
    (_, at) => signature("t.add", [], { task_id: `c${at}` }, true),
  );
  await bench.pushTask({}, [[], {}, {
    ...NONE,
    chain: [...rest, signature("t.end", [], { task_id: "end" }, true)],
  }]);
  bench.work();
  await bench.sees("id-1", "SUCCESS");
  await bench.says(/Task t\.end\[end\] received/);
});
