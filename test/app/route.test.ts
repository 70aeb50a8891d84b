import { describe, expect, test } from "vitest";
import type { QueueEntity } from "../../mod.ts";
import { innerOf } from "../../src/app/inner.ts";
import { failureOf, setup } from "./setup.ts";

/** Where one call goes, and the names of what is declared for it. */
async function way(settings: object, call: object, task = "tasks.add"): Promise<readonly unknown[]> {
  const { app, asked } = setup();
  app.configFromObject(settings);
  await app.sendTask(task, call);
  const [outgoing] = asked.batches[0]?.messages ?? [];
  const declared = (asked.declared[0] ?? []).map((entity) =>
    entity.kind === "binding"
      ? `${entity.exchange}-${entity.routingKey}->${entity.queue}`
      : `${entity.kind} ${entity.name}`
  );
  return [outgoing?.to.exchange, outgoing?.to.routingKey, outgoing?.mustRoute, declared];
}

describe("a task goes", () => {
  test("to the default queue by the default exchange, whose queue, exchange and binding are declared", async () => {
    expect(await way({}, {})).toEqual([
      "",
      "celery",
      true,
      ["exchange celery", "queue celery", "celery-celery->celery"],
    ]);
  });

  test("to the queue of the call, made as Celery makes missing queues", async () => {
    expect(await way({}, { queue: "sum-queue" })).toEqual([
      "",
      "sum-queue",
      true,
      ["exchange sum-queue", "queue sum-queue", "sum-queue-sum-queue->sum-queue"],
    ]);
  });

  test("to exchange and key where both are named", async () => {
    expect(await way({}, { exchange: "x", routingKey: "k" })).toEqual(["x", "k", true, []]);
    expect(await way({}, { queue: "q", exchange: "x", routingKey: "k" })).toEqual([
      "x",
      "k",
      true,
      ["exchange q", "queue q", "q-q->q"],
    ]);
  });

  test("to the queue by the default exchange where only one of exchange and key is named", async () => {
    expect((await way({}, { queue: "q", exchange: "x" })).slice(0, 2)).toEqual(["", "q"]);
    expect((await way({}, { routingKey: "k" })).slice(0, 2)).toEqual(["", "celery"]);
  });

  test("through a topic exchange by its key, without the default exchange", async () => {
    const settings = {
      task_default_exchange_type: "topic",
      task_default_exchange: "tasks",
      task_default_routing_key: "task.default",
    };
    expect(await way(settings, {})).toEqual([
      "tasks",
      "task.default",
      true,
      ["exchange tasks", "queue celery", "tasks-task.default->celery"],
    ]);
    expect((await way(settings, { routingKey: "task.other" })).slice(0, 2)).toEqual(["tasks", "task.other"]);
  });

  test("to a fanout exchange without asking for a queue", async () => {
    expect(
      (await way({ task_queues: { b: { exchange: "bc", exchange_type: "fanout" } } }, { queue: "b" })).slice(
        0,
        3,
      ),
    ).toEqual([
      "bc",
      "b",
      false,
    ]);
    expect(
      (await way({ task_queues: { b: { exchange: "bc", exchange_type: "fanout" } } }, {
        exchange: "bc",
        routingKey: "",
      })).slice(0, 3),
    ).toEqual(["bc", "", false]);
  });

  test("by routes: exact names, then globs in their order; the call's words win", async () => {
    const settings = {
      task_routes: {
        "video.*": "video",
        "video.encode": { queue: "encode", priority: 3 },
        "*.mail": { queue: "mail" },
        "[ab]?.*": "letters",
        "c?": "no glob without a star",
      },
    };
    expect((await way(settings, {}, "video.cut"))[1]).toBe("video");
    expect((await way(settings, {}, "video.encode"))[1]).toBe("encode");
    expect((await way(settings, {}, "x.mail"))[1]).toBe("mail");
    expect((await way(settings, {}, "b7.x"))[1]).toBe("letters");
    expect((await way(settings, {}, "c7"))[1]).toBe("celery");
    expect((await way(settings, { queue: "mine" }, "video.cut"))[1]).toBe("mine");
  });

  test("with a route's priority unless the call says one", async () => {
    const { app, asked } = setup({ taskRoutes: { t: { priority: 3 } }, taskDefaultPriority: 1 });
    await app.sendTask("t");
    await app.sendTask("t", { priority: 7 });
    await app.sendTask("other");
    expect(asked.batches.map(({ messages }) => messages[0]?.message.properties["priority"])).toEqual([
      3,
      7,
      1,
    ]);
  });

  test("where its declaration says, unless the call says otherwise", async () => {
    const { app, asked } = setup({ taskRoutes: { t: "routed" } });
    const task = app.task(
      "t",
      { queue: "declared", priority: 4, ignoreResult: true, timeLimit: "10s" },
      () => 1,
    );
    await task.delay();
    await task.applyAsync([], { queue: "called" });
    await task.si().set({ priority: 9 }).applyAsync();
    const [first, second, third] = asked.batches.map(({ messages }) => messages[0]);
    expect(first?.to.routingKey).toBe("declared");
    expect(first?.message.headers).toMatchObject({ ignore_result: true, timelimit: [10, null] });
    expect(first?.message.properties).toMatchObject({ priority: 4 });
    expect(second?.to.routingKey).toBe("called");
    expect(third?.message.properties).toMatchObject({ priority: 9 });
  });
});

describe("a function that routes", () => {
  test("is asked with name, arguments, options and declaration, in its place in the list", async () => {
    const asked: unknown[] = [];
    const { app } = setup({
      taskRoutes: [
        { "exact": "first" },
        (...question) => void asked.push(question),
        { "*": "last" },
      ],
    });
    const task = app.task("t", { priority: 4 }, (x: number) => x);
    await task.applyAsync([1], { headers: { h: 1 } });
    await app.sendTask("exact");
    await app.sendTask("other", { kwargs: { k: 1 } });
    expect(asked).toEqual([
      [
        "t",
        [1],
        {},
        { priority: 4, headers: { h: 1 } },
        expect.objectContaining({ name: "t", options: { priority: 4 } }),
      ],
      ["other", [], { k: 1 }, { kwargs: { k: 1 } }, undefined],
    ]);
  });

  test.each<[string, unknown, string]>([
    ["a promise", Promise.resolve("q"), "at once"],
    ["a number", 5, "the name of a queue"],
    ["an option that does not exist", { que: "q" }, 'Did you mean "queue"?'],
  ])("that answers %s is told so, and nothing is sent", async (_what, answer, text) => {
    const { app, asked } = setup({ taskRoutes: () => answer as never });
    const error = await failureOf(app.sendTask("t"));
    expect(error).toMatchObject({ code: "route-invalid" });
    expect(error.message).toContain(text);
    expect(asked.batches).toHaveLength(0);
  });

  test("that throws makes sending throw", async () => {
    const { app } = setup({
      taskRoutes: () => {
        throw new RangeError("no region");
      },
    });
    expect(await failureOf(app.sendTask("t"))).toMatchObject({ name: "RangeError" });
  });
});

describe("a broadcast", () => {
  test("is sent to its exchange, which alone is declared", async () => {
    const settings = { task_queues: { reload: { broadcast: true } } };
    expect(await way(settings, { queue: "reload" })).toEqual(["reload", "celery", false, [
      "exchange reload",
    ]]);
  });

  test("has a queue of its own for each worker; what goes back to it goes there alone", () => {
    const { app } = setup({ taskQueues: [{ name: "reload", broadcast: true }] });
    const inner = innerOf(app);
    const [one, other] = [inner.intake("reload"), inner.intake("reload")];
    expect(one.name).toMatch(/^bcast\.[\w-]{36}$/);
    expect(other.name).not.toBe(one.name);
    expect(one.entities).toEqual([
      { kind: "exchange", name: "reload", type: "fanout", durable: true, autoDelete: false },
      { kind: "queue", name: one.name, durable: true, exclusive: false, autoDelete: true },
      { kind: "binding", queue: one.name, exchange: "reload", routingKey: "celery" },
    ]);
    expect(inner.queue(one.name)).toMatchObject({ to: { exchange: "", routingKey: one.name }, entities: [] });
  });
});

describe("a queue is declared", () => {
  const argumentsOf = async (settings: object, queue?: string): Promise<unknown> => {
    const { app, asked } = setup();
    app.configFromObject(settings);
    await app.sendTask("t", queue === undefined ? {} : { queue });
    const declared = asked.declared[0]?.find((entity) => entity.kind === "queue") as QueueEntity;
    return declared.arguments;
  };

  test("with no arguments by default, since peers declare the same", async () => {
    expect(await argumentsOf({})).toBeUndefined();
  });

  test("with the arguments that Celery's settings give it", async () => {
    expect(await argumentsOf({ task_queue_max_priority: 10 }, "any")).toEqual({ "x-max-priority": 10 });
    expect(await argumentsOf({ task_default_queue_type: "quorum" })).toEqual({ "x-queue-type": "quorum" });
    expect(await argumentsOf({ task_default_queue_type: "quorum" }, "other")).toBeUndefined();
    expect(await argumentsOf({ task_create_missing_queue_type: "quorum" }, "other")).toEqual({
      "x-queue-type": "quorum",
    });
    expect(await argumentsOf({ task_queues: { a: { queue_arguments: { "x-max-length": 5 } } } }, "a"))
      .toEqual({ "x-max-length": 5 });
  });

  test("not at all where task_queues does not name it and missing ones are not made", async () => {
    const { app, asked } = setup({ taskQueues: { video: {} }, taskCreateMissingQueues: false });
    const error = await failureOf(app.sendTask("t", { queue: "vidoe" }));
    expect(error).toMatchObject({ code: "queue-unknown" });
    expect(error.message).toContain('Did you mean "video"?');
    expect(asked.batches).toHaveLength(0);
  });
});

describe("queues that messages name", () => {
  const MANY = 12_000;

  test("are forgotten when there are many, but for those of the app and those that are consumed", () => {
    const { app } = setup();
    app.configFromObject({ task_queues: { mine: {}, all: { broadcast: true } } });
    const inner = innerOf(app);
    const own = [inner.queue("mine"), inner.queue("celery"), inner.queue("all")];
    const [taken, mine] = [inner.intake("theirs"), inner.intake("all")];
    const hostile = inner.queue("hostile");
    for (let at = 0; at < MANY; at++) inner.queue(`q${at}`);
    for (const plan of [...own, taken]) expect(inner.queue(plan.name)).toBe(plan);
    // It is gone when its worker is, and is not made anew.
    expect(inner.queue(mine.name).entities).toEqual([]);
    expect(inner.queue("hostile")).toEqual(hostile);
    expect(inner.queue("hostile")).not.toBe(hostile);
  });

  test("are asked for again after a thousand others, as the broker may have forgotten them", async () => {
    const { app, asked } = setup();
    await app.sendTask("t", { queue: "mine" });
    const send = (from: number, to: number): Promise<unknown> =>
      app.sendMany(
        Array.from({ length: to - from }, (_, at) => app.signature("t").set({ queue: `q${from + at}` })),
      );
    const declared = async (): Promise<number> => {
      await app.sendTask("t", { queue: "mine" });
      return asked.batches.at(-1)?.declare?.length ?? 0;
    };
    await send(0, 990);
    expect(await declared()).toBe(0);
    await send(990, 1000);
    expect(await declared()).toBe(3);
    expect(await declared()).toBe(0);
  });
});
