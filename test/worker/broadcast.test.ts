import { describe, expect, test } from "vitest";
import { Celery } from "../../mod.ts";
import { memoryBroker } from "../../adapters/memory/mod.ts";
import { Worker } from "../../src/worker/worker.ts";
import { until } from "../support/wait.ts";

describe("a broadcast", () => {
  test("comes to each worker once, and its queue goes with the worker", async () => {
    await using app = new Celery("all", {
      broker: memoryBroker(),
      taskQueues: { celery: {}, reload: { broadcast: true } },
      taskRoutes: { reload: "reload" },
    });
    const ran: string[] = [];
    app.task(
      "reload",
      { bind: true },
      (task) => void ran.push(`${task.hostname} ${task.delivery.queue.slice(0, 6)}`),
    );
    app.task("one", { bind: true }, (task) => void ran.push(task.hostname));
    let ready = 0;
    app.on("workerReady", () => void ready++);
    const workers = ["a@h", "b@h"].map((hostname) => new Worker(app, { hostname }));
    const running = workers.map((worker) => worker.run());
    await until(() => ready === 2, { what: "two workers" });
    await app.sendTask("reload");
    await until(() => ran.length === 2, { what: "two runs" });
    expect([...ran].sort()).toEqual(["a@h bcast.", "b@h bcast."]);
    ran.length = 0;
    await app.sendTask("one");
    await until(() => ran.length === 1, { what: "one run" });
    await Promise.all(workers.map((worker) => worker.stop()));
    await Promise.all(running);
    // Nobody is there: it is for nobody, and that is no error.
    await app.sendTask("reload");
  });
});

describe("the queues of a worker", () => {
  const app = new Celery("queues", {
    broker: memoryBroker(),
    taskQueues: { a: {}, b: {} },
    workerDirect: true,
  });

  test("are the app's, or those named, without those excluded; and its own", () => {
    const queues = (options: object): readonly string[] =>
      new Worker(app, { hostname: "w@h", ...options }).queues;
    expect(queues({})).toEqual(["a", "b", "w@h.dq2"]);
    expect(queues({ excludeQueues: ["b"] })).toEqual(["a", "w@h.dq2"]);
    expect(queues({ queues: ["x", "b"], excludeQueues: ["b"] })).toEqual(["x", "w@h.dq2"]);
  });

  test("cannot be none", () => {
    const plain = new Celery("plain", { broker: memoryBroker() });
    expect(() => new Worker(plain, { excludeQueues: ["celery"] })).toThrow(
      expect.objectContaining({ code: "option-invalid" }),
    );
  });

  test("its own takes what is sent to it by name", async () => {
    const ran: string[] = [];
    await using own = app.fork({ broker: memoryBroker() });
    own.task("ping", { bind: true }, (task) => void ran.push(task.delivery.queue));
    await using worker = new Worker(own, { hostname: "w@h" });
    const running = worker.run();
    await own.sendTask("ping", { queue: "w@h.dq2" });
    await until(() => ran.length === 1, { what: "the run" });
    expect(ran).toEqual(["w@h.dq2"]);
    await worker.stop();
    await running;
  });
});
