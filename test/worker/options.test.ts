import { describe, expect, test } from "vitest";
import { Celery } from "../../src/app/app.ts";
import { APP, innerOf } from "../../src/app/inner.ts";
import { Worker, type WorkerOptions } from "../../src/worker/worker.ts";
import { setup } from "./setup.ts";

describe("a worker's options", () => {
  test.each<[options: Record<string, unknown>, code: string, text: RegExp]>([
    [{ queue: ["a"] }, "option-unknown", /"queue"\. Did you mean "queues"\?/],
    [{ prefetch_multiplier: 1 }, "option-unknown", /Did you mean "prefetchMultiplier"\?/],
    [{ zzz: 1 }, "option-unknown", /It has queues, excludeQueues, concurrency/],
    [{ concurrency: 0 }, "option-invalid", /concurrency must be a whole number from 1 up/],
    [{ concurrency: 1.5 }, "option-invalid", /concurrency/],
    [{ concurrency: "4" }, "option-invalid", /concurrency/],
    [{ prefetchMultiplier: -1 }, "option-invalid", /prefetchMultiplier/],
    [{ queues: [] }, "option-invalid", /queues/],
    [{ queues: "celery" }, "option-invalid", /queues/],
    [{ timeLimit: 10, softTimeLimit: 11 }, "option-invalid", /^The worker has a softTimeLimit of 11 s/],
    [{ softTimeLimit: 31 }, "option-invalid", /softTimeLimit of 31 s/],
    [{ timeLimit: -1 }, "duration-invalid", /timeLimit/],
  ])("%j are refused: %s", async (options, code, text) => {
    await using bench = setup({ taskTimeLimit: 30 });
    const make = (): Worker => new Worker(bench.app, options as WorkerOptions);
    expect(make).toThrow(expect.objectContaining({ code, message: expect.stringMatching(text) }));
  });

  test("give the node its name", async () => {
    await using bench = setup();
    const { hostname } = innerOf(bench.app).platform.host;
    expect(new Worker(bench.app).hostname).toBe(`celery@${hostname}`);
    expect(new Worker(bench.app, { hostname: "worker@%h" }).hostname).toBe(`worker@${hostname}`);
    expect(new Worker(bench.app, { hostname: "w1@box" }).hostname).toBe("w1@box");
  });

  test("name the queues that are consumed, and leave others alone", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => 1);
    await bench.push(
      { headers: { task: "t.add", id: "a" }, body: new TextEncoder().encode("[[], {}, {}]") },
      "other",
    );
    await bench.push(
      { headers: { task: "t.add", id: "b" }, body: new TextEncoder().encode("[[], {}, {}]") },
      "one",
    );
    await bench.push(
      { headers: { task: "t.add", id: "c" }, body: new TextEncoder().encode("[[], {}, {}]") },
      "two",
    );
    bench.work({ queues: ["one", "two"] });
    await bench.sees("b", "SUCCESS");
    await bench.sees("c", "SUCCESS");
    expect(await bench.broker.count("other")).toBe(1);
  });
});

test("what is no app is refused, and so is the app of another copy of the package", async () => {
  await using bench = setup();
  expect(() => new Worker({})).toThrow(expect.objectContaining({ code: "app-invalid" }));
  const foreign = { [APP]: { ...innerOf(bench.app), copy: Symbol("celeriac") } };
  expect(() => new Worker(foreign)).toThrow(expect.objectContaining({ code: "two-copies" }));
});

test("making a worker connects to nothing", async () => {
  const asked: PropertyKey[] = [];
  await using bench = setup({
    wrapBroker: (broker) => new Proxy(broker, { get: (_target, key) => (asked.push(key), undefined) }),
  });
  new Worker(bench.app, { queues: ["q"] });
  expect(asked).toEqual([]);
});

test("a worker of an app without a broker says so, and can be stopped", async () => {
  const worker = new Worker(new Celery("none"));
  await expect(worker.run()).rejects.toMatchObject({ code: "broker-missing" });
  await worker.stop();
});

test("a task module that does not load ends the worker with its error", async () => {
  await using bench = setup({ include: [() => Promise.reject(new Error("broken module"))] });
  await expect(bench.work().done).rejects.toThrow("broken module");
});

test("task modules are loaded before the first message", async () => {
  await using bench = setup({
    include: [() => {
      bench.app.task("t.add", () => "loaded");
      return Promise.resolve();
    }],
  });
  await bench.pushTask({});
  bench.work();
  expect((await bench.sees("id-1", "SUCCESS"))["result"]).toBe("loaded");
});
