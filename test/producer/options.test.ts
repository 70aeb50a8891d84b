import { describe, expect, test } from "vitest";
import { memoryBroker } from "../../adapters/memory/mod.ts";
import { Producer, type ProducerSendOptions, queues, retryPolicy, routes } from "../../src/producer/mod.ts";
import { failureOf, stubBroker, thrownBy } from "../app/setup.ts";
import { setup } from "./setup.ts";

const { broker } = stubBroker();

describe("the constructor", () => {
  test.each([
    ["no options", undefined, "option-invalid", "object"],
    ["null", null, "option-invalid", "object"],
    ["no broker", {}, "option-invalid", "broker must be an adapter"],
    ["a URL", { broker: "amqp://u:hidden@h//" }, "option-invalid", "not a URL"],
    ["another object", { broker: { url: "amqp://u:hidden@h//" } }, "option-invalid", "not a URL"],
    [
      "a misspelt setting",
      { broker, taskDefaultQuue: "q" },
      "option-unknown",
      "It has taskPublishRetryPolicy,",
    ],
    ["what only Celery has", { broker, backend: {} }, "option-unknown", "Celery has more"],
    ["a setting of Celery's worker", { broker, workerConcurrency: 4 }, "option-unknown", "Celery has more"],
    ["an empty queue", { broker, taskDefaultQueue: "" }, "option-invalid", "taskDefaultQueue"],
    ["a queue that is no text", { broker, taskDefaultQueue: 5 }, "option-invalid", "taskDefaultQueue"],
    ["queues that queues() did not make", { broker, taskQueues: { q: {} } }, "option-invalid", "queues()"],
    ["routes that routes() did not make", { broker, taskRoutes: { t: "q" } }, "option-invalid", "routes()"],
    [
      "a policy that retryPolicy() did not make",
      { broker, taskPublishRetryPolicy: { maxRetries: 1 } },
      "option-invalid",
      "retryPolicy()",
    ],
    ["a retry of nonsense", { broker, taskPublishRetry: "no" }, "option-invalid", "true or false"],
    [
      "a retry of the unknown for all",
      { broker, taskPublishRetry: "unknown" },
      "option-invalid",
      "true or false",
    ],
    ["a deadline of nonsense", { broker, publishTimeout: "soon" }, "duration-invalid", "publishTimeout"],
  ])("%s is refused", (_what, options, code, says) => {
    const error = thrownBy(() => new Producer(options as never));
    expect(error).toMatchObject({ name: "ConfigurationError", code });
    expect(error.message).toContain(says);
    expect(error.message).not.toContain("hidden");
  });

  test("takes Celery's None for a priority", () => {
    new Producer({ broker: memoryBroker(), taskDefaultPriority: null });
  });
});

describe("what is made by a function of its own", () => {
  test.each([
    [
      "a queue's misspelt field",
      () => queues({ q: { exchnge: "x" } as never }),
      "option-unknown",
      "It has exchange,",
    ],
    ["a queue that is no object", () => queues({ q: 5 as never }), "option-invalid", "Queue q"],
    [
      "a route's misspelt field",
      () => routes({ "a.*": { que: "x" } as never }),
      "option-unknown",
      "It has queue,",
    ],
    ["a route to an exchange", () => routes({ t: { exchange: "x" } as never }), "option-unknown", "exchange"],
    ["a route to nothing", () => routes({ t: "" }), "option-invalid", "not empty"],
    ["a route that is no object", () => routes({ t: 5 as never }), "option-invalid", "Route t"],
    [
      "a policy's misspelt field",
      () => retryPolicy({ maxRetry: 1 } as never),
      "option-unknown",
      "maxRetries",
    ],
    ["a policy of nonsense", () => retryPolicy({ maxRetries: -1 }), "option-invalid", "maxRetries"],
    [
      "a wait of nonsense",
      () => retryPolicy({ intervalStep: "soon" as never }),
      "duration-invalid",
      "intervalStep",
    ],
  ])("%s is refused", (_what, make, code, says) => {
    const error = thrownBy(make);
    expect(error).toMatchObject({ name: "ConfigurationError", code });
    expect(error.message).toContain(says);
  });
});

describe("a call", () => {
  test.each(
    [
      [{ quue: "q" }, "option-unknown", "It has args, kwargs, taskId,"],
      [{ compression: "gzip" }, "option-unknown", "Celery has more"],
      [{ link: {} }, "option-unknown", "Celery has more"],
      [{ linkError: {} }, "option-unknown", "Celery has more"],
      [{ serializer: "json" }, "option-unknown", "Celery has more"],
      [{ exchange: "x", routingKey: "k" }, "option-unknown", "Celery has more"],
      [{ queue: 5 }, "option-invalid", "queue"],
      [{ queue: "" }, "option-invalid", "queue"],
      [{ taskId: "" }, "option-invalid", "taskId"],
      [{ taskId: "x".repeat(256) }, "task-invalid", "255"],
      [{ countdown: -1 }, "duration-invalid", "countdown"],
      [{ countdown: new Date(0) }, "duration-invalid", "countdown"],
      [{ timeLimit: new Date(0) }, "duration-invalid", "timeLimit"],
      [{ expires: "tomorrow" }, "duration-invalid", "expires"],
      [{ eta: "tomorrow" }, "task-invalid", "eta"],
      [{ eta: new Date(NaN) }, "task-invalid", "eta"],
      [{ timeLimit: "x" }, "duration-invalid", "timeLimit"],
      [{ timeout: {} }, "duration-invalid", "timeout"],
      [{ priority: 256 }, "task-invalid", "priority"],
      [{ args: "abc" }, "task-invalid", "args"],
      [{ args: 5 }, "task-invalid", "args"],
      [{ kwargs: [] }, "task-invalid", "kwargs"],
      [{ kwargs: new Map() }, "task-invalid", "kwargs"],
      [{ headers: { task: "other" } }, "task-invalid", "task"],
      [{ retry: "no" }, "option-invalid", "retry"],
      [{ retryPolicy: { maxRetries: 1 } }, "option-unknown", "retry"],
      [null, "option-invalid", "object"],
    ] as const,
  )("with %j is refused before anything is sent", async (options, code, says) => {
    const { producer, asked } = setup();
    const error = await failureOf(producer.sendTask("t", options as unknown as ProducerSendOptions));
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(says);
    expect(asked.batches).toHaveLength(0);
    await producer.close();
  });

  test.each([["", 5, undefined, null]].flat())("of the name %j is refused", async (name) => {
    const { producer } = setup();
    expect(await failureOf(producer.sendTask(name as never))).toMatchObject({ code: "task-invalid" });
    expect(
      await failureOf(
        producer.tasksOf<typeof import("../types/tasks.ts")>()(name as never).delay(...[] as never),
      ),
    ).toMatchObject({
      code: "task-invalid",
    });
  });
});

describe("tasksOf", () => {
  test("gives tasks by name that send", async () => {
    const { producer, asked } = setup();
    const jobs = producer.tasksOf<typeof import("../types/tasks.ts")>();
    expect(jobs("t.add").name).toBe("t.add");
    await jobs("t.add").delay(1, 2);
    await jobs("t.add").applyAsync([1, 2], { queue: "q", countdown: 5 });
    await jobs("t.add").applyAsync([], { kwargs: { x: 1, y: 2 } });
    const sent = asked.batches.flatMap((batch) => batch.messages);
    expect(sent.map(({ to }) => to.routingKey)).toEqual(["celery", "q", "celery"]);
    expect(sent.map(({ message }) => new TextDecoder().decode(message.body).slice(0, 20))).toEqual([
      '[[1, 2], {}, {"callb',
      '[[1, 2], {}, {"callb',
      '[[], {"x": 1, "y": 2',
    ]);
  });
});
