import { describe, expect, test } from "vitest";
import { memoryBroker } from "../../adapters/memory/mod.ts";
import { Celery, type Envelope, type HookName } from "../../mod.ts";
import { failureOf, setup } from "./setup.ts";

/** What a message says of itself. */
const headersOf = ({ asked }: ReturnType<typeof setup>, at = 0): Readonly<Record<string, unknown>> =>
  asked.batches[at]?.messages[0]?.message.headers ?? {};

describe("middleware around publish", () => {
  test("stands in the order of use, the first one outermost, around the confirm of the broker", async () => {
    const bench = setup();
    const seen: string[] = [];
    for (const name of ["outer", "inner"]) {
      bench.app.use({
        async publish({ id, name: task, exchange, routingKey }, next) {
          seen.push(
            `${name} before ${task} to ${
              JSON.stringify(exchange)
            } ${routingKey}, ${bench.asked.batches.length} sent`,
          );
          const result = await next();
          seen.push(`${name} after, ${bench.asked.batches.length} sent, ${result.id === id}`);
        },
      });
    }
    const result = await bench.app.sendTask("t", { args: [1] });
    expect(seen).toEqual([
      'outer before t to "" celery, 0 sent',
      'inner before t to "" celery, 0 sent',
      "inner after, 1 sent, true",
      "outer after, 1 sent, true",
    ]);
    expect(headersOf(bench)["id"]).toBe(result.id);
  });

  test("may change arguments and headers, never id or way", async () => {
    const bench = setup();
    bench.app.use({
      publish(envelope, next) {
        envelope.headers["traceparent"] = "00-1";
        envelope.args = [...envelope.args, "sealed"];
        expect(() => Object.assign(envelope, { id: "other" })).toThrow(TypeError);
        expect(() => Object.assign(envelope, { routingKey: "other" })).toThrow(TypeError);
        return next();
      },
    });
    const result = await bench.app.sendTask("t", { args: [1], headers: { own: "1" }, taskId: "id-7" });
    expect(result.id).toBe("id-7");
    expect(headersOf(bench)).toMatchObject({
      id: "id-7",
      own: "1",
      traceparent: "00-1",
      argsrepr: "(1, 'sealed')",
    });
  });

  test("changes this call alone: its caller keeps the arguments, the task its options", async () => {
    const bench = setup();
    const task = bench.app.task("t", { priority: 1, queue: "q1" }, () => 1);
    const hook = bench.app.on("beforeTaskPublish", (envelope) => {
      (envelope.args as unknown[]).push("more");
      (envelope.kwargs as Record<string, unknown>)["more"] = 1;
      expect(() => Object.assign(envelope.options, { priority: 9, queue: "elsewhere" })).toThrow(TypeError);
      const { headers = Object.freeze({}) } = envelope.options;
      expect(() => Object.assign(headers, { own: "2" })).toThrow(TypeError);
    });
    const [args, kwargs] = [[1], {}];
    await bench.app.sendTask("t", { args, kwargs, headers: { own: "1" } });
    expect([args, kwargs]).toEqual([[1], {}]);
    expect(headersOf(bench)).toMatchObject({ own: "1", argsrepr: "(1, 'more')", kwargsrepr: "{'more': 1}" });
    await task.delay();
    hook[Symbol.dispose]();
    await task.delay();
    const { message, to } = bench.asked.batches[2]?.messages[0] ?? {};
    expect([to?.routingKey, message?.properties["priority"]]).toEqual(["q1", 1]);
  });

  test("cannot take one of Celery's own headers", async () => {
    const bench = setup();
    bench.app.on("beforeTaskPublish", ({ headers }) => void (headers["id"] = "forged"));
    expect(await failureOf(bench.app.sendTask("t"))).toMatchObject({ code: "task-invalid" });
    expect(bench.asked.batches).toHaveLength(0);
  });

  test("that throws fails its publish alone, and nothing is sent", async () => {
    const bench = setup();
    bench.app.use({
      publish({ name }, next) {
        if (name === "bad") throw new RangeError("too many");
        return next();
      },
    });
    const [bad, good] = await bench.app.sendMany([{ name: "bad" }, { name: "good" }]);
    expect(bad).toMatchObject({ status: "rejected", reason: { name: "RangeError" } });
    expect(good.status).toBe("fulfilled");
    expect(
      bench.asked.batches.flatMap(({ messages }) => messages.map(({ message }) => message.headers["task"])),
    ).toEqual([
      "good",
    ]);
  });

  test("that does not call next() is an error: no task is dropped without a word", async () => {
    const bench = setup();
    bench.app.use({ publish: () => {} });
    expect(await failureOf(bench.app.sendTask("t"))).toMatchObject({ code: "middleware-no-next" });
  });

  test("that calls next() twice publishes once", async () => {
    const bench = setup();
    bench.app.use({
      async publish(_envelope, next) {
        await next();
        await next();
      },
    });
    expect(await failureOf(bench.app.sendTask("t"))).toMatchObject({ code: "middleware-next-twice" });
    expect(bench.asked.batches).toHaveLength(1);
  });

  test("cannot hide that the broker refused, and need not wait for next()", async () => {
    const answers = {
      publish: () => Promise.resolve([{ is: "refused", reason: "full", retry: false } as const]),
    };
    const swallowing = setup({ answers });
    swallowing.app.use({ publish: (_envelope, next) => next().catch(() => "fine") });
    expect(await failureOf(swallowing.app.sendTask("t"))).toMatchObject({ code: "publish-refused" });
    const careless = setup({ answers });
    careless.app.use({ publish: (_envelope, next) => void next() });
    expect(await failureOf(careless.app.sendTask("t"))).toMatchObject({ code: "publish-refused" });
  });

  test("that hangs holds its own message, not its neighbours", async () => {
    const bench = setup();
    bench.app.use({ publish: ({ name }, next) => name === "hung" ? new Promise(() => {}) : next() });
    void bench.app.sendTask("hung");
    const sent = await bench.app.sendTask("free");
    expect(sent.id).toBe(headersOf(bench)["id"]);
  });
});

describe("hooks of a publish", () => {
  test("hear before and after, within the layers; of one task where they ask for it", async () => {
    const bench = setup();
    const heard: string[] = [];
    const hear = (name: HookName) => ({ name: task, args }: Envelope): void =>
      void heard.push(`${name} ${task} ${JSON.stringify(args)} ${bench.asked.batches.length}`);
    bench.app.on("beforeTaskPublish", hear("beforeTaskPublish"));
    bench.app.on("afterTaskPublish", hear("afterTaskPublish"), { task: "a" });
    bench.app.use({ publish: (envelope, next) => (envelope.args = [9], next()) });
    await bench.app.sendTask("a");
    await bench.app.sendTask("b");
    expect(heard).toEqual([
      "beforeTaskPublish a [9] 0",
      "afterTaskPublish a [9] 1",
      "beforeTaskPublish b [9] 1",
    ]);
  });

  test("are waited for where they say so", async () => {
    const bench = setup();
    const order: string[] = [];
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => open = resolve);
    bench.app.on("beforeTaskPublish", async ({ headers }) => {
      await gate;
      headers["late"] = "1";
    }, { wait: true });
    const sent = bench.app.sendTask("t").then(() => order.push("sent"));
    order.push("opened");
    open();
    await sent;
    expect(order).toEqual(["opened", "sent"]);
    expect(headersOf(bench)["late"]).toBe("1");
  });

  test.each(["at once", "later"])("that fail %s are logged, and harm nothing", async (when) => {
    const bench = setup();
    bench.app.on("beforeTaskPublish", () => {
      if (when === "at once") throw new Error("broken hook");
      return Promise.reject(new Error("broken hook"));
    });
    await bench.app.sendTask("t");
    expect(bench.asked.batches).toHaveLength(1);
    const [line] = bench.lines;
    expect(line?.message).toBe("The hook beforeTaskPublish failed: Error: broken hook");
  });

  test("end when they are disposed of", async () => {
    const bench = setup();
    let heard = 0;
    {
      using _hook = bench.app.on("afterTaskPublish", () => void heard++);
      using _layer = bench.app.use({ publish: (_envelope, next) => (heard++, next()) });
      await bench.app.sendTask("t");
    }
    await bench.app.sendTask("t");
    expect(heard).toBe(2);
  });

  test("are a fork's, too; what a fork adds is not its origin's", async () => {
    const bench = setup();
    const heard: string[] = [];
    bench.app.use({ publish: (_envelope, next) => (heard.push("origin"), next()) });
    const fork = bench.app.fork();
    fork.use({ publish: (_envelope, next) => (heard.push("fork"), next()) });
    await fork.sendTask("t");
    await bench.app.sendTask("t");
    expect(heard).toEqual(["origin", "fork", "origin"]);
  });
});

describe("slips", () => {
  const app = new Celery("slips", { broker: memoryBroker() });

  test.each<[string, () => unknown, string, string]>([
    [
      "an unknown hook",
      () => app.on("taskSucces" as never, () => {}),
      "option-unknown",
      'Did you mean "taskSuccess"?',
    ],
    ["no function", () => app.on("taskSuccess", 5 as never), "option-invalid", "a function"],
    [
      "an unknown option",
      () => app.on("taskSuccess", () => {}, { waits: true } as never),
      "option-unknown",
      '"wait"',
    ],
    [
      "a wait that nothing heeds",
      () => app.on("taskReceived", () => {}, { wait: true }),
      "option-invalid",
      "taskReceived",
    ],
    ["an unknown layer", () => app.use({ runs: () => {} } as never), "option-unknown", '"run"'],
    ["a layer that is no function", () => app.use({ run: true } as never), "option-invalid", "a function"],
  ])("%s", (_what, slip, code, text) => {
    expect(slip).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }));
  });
});
