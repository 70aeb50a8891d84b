import { describe, expect, test } from "vitest";
import { type Celery, type HookEvents, type HookName, Ignore } from "../../mod.ts";
import { createHarness } from "../../src/testing/mod.ts";
import { until } from "../support/wait.ts";
import { setup } from "./setup.ts";

const NAMES: readonly HookName[] = [
  "beforeTaskPublish",
  "afterTaskPublish",
  "taskReceived",
  "taskPrerun",
  "taskPostrun",
  "taskSuccess",
  "taskFailure",
  "taskRetry",
  "taskRevoked",
  "taskUnknown",
  "taskRejected",
  "workerReady",
  "workerShuttingDown",
  "workerShutdown",
];

/** Notes every hook by name, with what `say` makes of it. */
function listen(
  app: Celery,
  say: (name: HookName, event: HookEvents[HookName]) => string = (name) => name,
): string[] {
  const heard: string[] = [];
  for (const name of NAMES) app.on(name, (event) => void heard.push(say(name, event)));
  return heard;
}

describe("hooks of a worker", () => {
  test("come in Celery's order, from ready to shutdown", async () => {
    await using bench = setup();
    const task = bench.app.task("t.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
    const heard = listen(bench.app);
    const { worker, done } = bench.work();
    await until(() => heard.includes("workerReady"), { what: "ready" });
    const result = await task.delay(1, 2);
    await result.get({ timeout: 5 });
    await worker.stop();
    await done;
    // The broker's answer to the sender and its delivery to the worker come as they come.
    const about = (kind: RegExp): string[] => heard.filter((name) => kind.test(name));
    expect(about(/Publish$/)).toEqual(["beforeTaskPublish", "afterTaskPublish"]);
    expect(about(/^task/)).toEqual(["taskReceived", "taskPrerun", "taskSuccess", "taskPostrun"]);
    expect(about(/^worker/)).toEqual(["workerReady", "workerShuttingDown", "workerShutdown"]);
    expect([heard[0], heard.at(-1)]).toEqual(["workerReady", "workerShutdown"]);
  });

  test("tell the task, what it returned or threw, and how long it ran", async () => {
    await using bench = setup();
    const seen: unknown[] = [];
    bench.app.task("good", () => 5);
    bench.app.task("bad", () => {
      throw new RangeError("too far");
    });
    bench.app.on(
      "taskSuccess",
      ({ task, result, runtime }) => void seen.push([task.name, task.id, result, runtime >= 0]),
    );
    bench.app.on(
      "taskFailure",
      ({ task, error }) => void seen.push([task.name, task.id, (error as Error).message]),
    );
    bench.app.on("taskPostrun", ({ task, state }) => void seen.push([task.name, state]));
    bench.work({ concurrency: 1 });
    await bench.app.sendTask("good", { taskId: "g" });
    await bench.sees("g", "SUCCESS");
    await bench.app.sendTask("bad", { taskId: "b" });
    await bench.sees("b", "FAILURE");
    await until(() => seen.length === 4, { what: `four events, not ${JSON.stringify(seen)}` });
    expect(seen).toEqual([["good", "g", 5, true], ["good", "SUCCESS"], ["bad", "b", "too far"], [
      "bad",
      "FAILURE",
    ]]);
  });

  test("tell of what does not run: expired, unregistered, unreadable", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => 1);
    const heard = listen(
      bench.app,
      (name, event) =>
        name === "taskRevoked"
          ? `${name} ${(event as HookEvents["taskRevoked"]).reason}`
          : name === "taskUnknown"
          ? `${name} ${(event as HookEvents["taskUnknown"]).name} ${(event as HookEvents["taskUnknown"]).id}`
          : name === "taskRejected"
          ? `${name} ${((event as HookEvents["taskRejected"]).error as { code: string }).code}`
          : name,
    );
    await bench.pushTask({ id: "late", expires: "2020-01-01T00:00:00+00:00" });
    await bench.pushTask({ id: "who", task: "no.such" });
    await bench.pushTask({ id: "what" }, undefined, { contentType: "application/x-python-serialize" });
    bench.work();
    await until(() => heard.filter((line) => line.includes(" ")).length === 3, {
      what: "three refusals",
    });
    expect(heard.filter((line) => !line.startsWith("worker"))).toEqual([
      "taskReceived",
      "taskRevoked expired",
      "taskUnknown no.such who",
      "taskRejected content-disallowed",
    ]);
  });

  test("tell of a task that was terminated while it ran: revoked, and no failure", async () => {
    await using bench = setup();
    bench.app.task("t.add", { bind: true }, async (task) => {
      await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
      throw task.signal.reason;
    });
    const heard: string[] = [];
    bench.app.on("taskRevoked", ({ task, reason }) => void heard.push(`${task.id} revoked: ${reason}`));
    bench.app.on("taskFailure", ({ task }) => void heard.push(`${task.id} failed`));
    bench.app.on("taskPostrun", ({ task, state }) => void heard.push(`${task.id} ${state}`));
    await bench.pushTask({});
    const { worker } = bench.work();
    await until(() => worker.snapshot().active.length === 1, { what: "it runs" });
    expect(await worker.revoke("id-1", { terminate: true })).toEqual(["id-1"]);
    await until(() => heard.length === 2, { what: "two events" });
    expect(heard).toEqual(["id-1 revoked: terminated", "id-1 REVOKED"]);
  });

  test("tell of a retry before its last run, and of what ends without an outcome", async () => {
    await using bench = setup();
    const seen: string[] = [];
    bench.app.task("again", { bind: true, maxRetries: 1 }, (task) => {
      if (task.retries === 0) throw task.retry({ countdown: 0, error: new RangeError("busy") });
      return "done";
    });
    bench.app.task("quiet", () => {
      throw new Ignore();
    });
    bench.app.on("taskRetry", ({ task, reason }) => void seen.push(`retry ${task.name}: ${String(reason)}`));
    bench.app.on("taskPostrun", ({ task, state }) => void seen.push(`${task.name} ${state}`));
    bench.work({ concurrency: 1 });
    await bench.app.sendTask("again", { taskId: "r" });
    await bench.sees("r", "SUCCESS");
    await bench.app.sendTask("quiet");
    await until(() => seen.includes("quiet IGNORED"), { what: "the ignored one" });
    expect(seen).toEqual(["retry again: RangeError: busy", "again RETRY", "again SUCCESS", "quiet IGNORED"]);
  });

  test("that fail harm no task, and are logged", async () => {
    await using bench = setup();
    const task = bench.app.task("t.add", () => "done");
    for (const name of NAMES) {
      bench.app.on(name, () => {
        throw new Error(`broken ${name}`);
      });
    }
    bench.work();
    const result = await task.delay();
    expect(await result.get({ timeout: 5 })).toBe("done");
    await bench.says(/The hook taskPostrun failed: Error: broken taskPostrun/);
    expect(bench.lines.filter(({ fields }) => fields["code"] === "hook-failed").length)
      .toBeGreaterThanOrEqual(7);
  });

  test("that hang hold up nobody, and with wait their own task alone", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => "done");
    const started: string[] = [];
    bench.app.on("taskPrerun", () => new Promise(() => {}));
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => open = resolve);
    bench.app.on("taskPrerun", ({ task }) => {
      started.push(task.id);
      return task.id === "hung" ? gate : undefined;
    }, { wait: true });
    bench.work({ concurrency: 2 });
    await bench.app.sendTask("t.add", { taskId: "hung" });
    await until(() => started.includes("hung"), { what: "the hung one" });
    for (const taskId of ["a", "b", "c"]) {
      const result = await bench.app.sendTask("t.add", { taskId });
      expect(await result.get({ timeout: 5 })).toBe("done");
    }
    expect(await bench.stored("hung")).toBeUndefined();
    open();
    await bench.sees("hung", "SUCCESS");
  });
});

describe("middleware around a run", () => {
  test("stands in the order of use, sees the result, and may change it", async () => {
    await using bench = setup();
    const seen: string[] = [];
    const task = bench.app.task("t.add", (x: number) => (seen.push("run"), x));
    bench.app.use({
      async run({ name }, next) {
        seen.push(`in ${name}`);
        const result = await next();
        seen.push(`out ${String(result)}`);
      },
    });
    bench.app.use({ run: async (_task, next) => Number(await next()) * 10 });
    bench.work();
    const result = await task.delay(4);
    expect(await result.get({ timeout: 5 })).toBe(40);
    expect(seen).toEqual(["in t.add", "run", "out 40"]);
  });

  test("that throws fails its task; one that catches saves it", async () => {
    await using bench = setup();
    bench.app.task("blocked", () => 1);
    bench.app.task("saved", () => {
      throw new Error("lost");
    });
    bench.app.use({
      async run({ name }, next) {
        if (name === "blocked") throw new RangeError("not today");
        try {
          return await next();
        } catch {
          return "saved";
        }
      },
    });
    bench.work();
    await bench.app.sendTask("blocked", { taskId: "b" });
    expect(await bench.sees("b", "FAILURE")).toMatchObject({ result: { exc_message: ["not today"] } });
    await bench.app.sendTask("saved", { taskId: "s" });
    expect(await bench.sees("s", "SUCCESS")).toMatchObject({ result: "saved" });
  });

  test("that does not call next() answers in the task's place", async () => {
    await using bench = setup();
    let ran = 0;
    const task = bench.app.task("t.add", () => ++ran);
    bench.app.use({ run: () => "from the cache" });
    bench.work();
    const result = await task.delay();
    expect(await result.get({ timeout: 5 })).toBe("from the cache");
    expect(ran).toBe(0);
  });

  test("that calls next() and hangs holds its own task, not its neighbours", async () => {
    await using bench = setup();
    const task = bench.app.task("t.add", (how: string) => how);
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => open = resolve);
    bench.app.use({
      async run({ args: [how] }, next) {
        await next();
        if (how === "hang") await gate;
      },
    });
    bench.work({ concurrency: 2 });
    const hung = await task.delay("hang");
    const free = await task.delay("free");
    expect(await free.get({ timeout: 5 })).toBe("free");
    open();
    expect(await hung.get({ timeout: 5 })).toBe("hang");
  });

  test("is a fork's, too: a harness has it", async () => {
    await using bench = setup();
    const task = bench.app.task("t.add", () => 1);
    bench.app.use({ run: async (_task, next) => Number(await next()) + 1 });
    await using harness = await createHarness(bench.app);
    const result = await harness.run(() => task.delay());
    expect(await result.get()).toBe(2);
  });
});
