import { describe, expect, test } from "vitest";
import { memoryBackend } from "../../adapters/memory/mod.ts";
import { ConfigurationError, ConnectionError } from "../../mod.ts";
import { bodyText, failureOf, messages, settled, setup } from "./setup.ts";

describe("sending", () => {
  test("resolves when the broker confirmed, not before", async () => {
    let confirm = (): void => {};
    const { app } = setup({
      answers: {
        publish: (batch) =>
          new Promise((resolve) => {
            confirm = () => resolve(batch.map(() => ({ is: "confirmed" })));
          }),
      },
    });
    let sent = false;
    const sending = app.sendTask("t", { taskId: "the-id" }).then((result) => {
      sent = true;
      return result;
    });
    await settled();
    expect(sent).toBe(false);
    confirm();
    expect((await sending).id).toBe("the-id");
  });

  test("a thousand calls of one tick are few batches, and what was declared once is not asked again", async () => {
    const { app, asked } = setup();
    const add = app.task("t.add", (x: number, y: number) => x + y);
    const results = await Promise.all(Array.from({ length: 1000 }, (_, at) => add.delay(at, 1)));
    expect(asked.batches.length).toBeLessThan(20);
    expect(asked.declared.length).toBeLessThanOrEqual(asked.batches.length);
    await add.delay(1, 1);
    expect(asked.batches.at(-1)?.declare).toEqual([]);
    expect(messages(asked).slice(0, 1000).map((message) => message.headers["id"])).toEqual(
      results.map((result) => result.id),
    );
  });

  test("a burst does not wait for the first confirm", async () => {
    const { app, asked } = setup({ answers: { publish: () => new Promise(() => {}) } });
    for (let at = 0; at < 600; at++) void app.sendTask("t", { args: [at] });
    await settled();
    expect(messages(asked)).toHaveLength(600);
  });

  test("fails where the declaration fails, and declares again for the next call", async () => {
    let fails = true;
    const { app, asked } = setup({
      answers: {
        declare: () =>
          fails ? Promise.reject(new ConfigurationError("topology-mismatch", "406")) : Promise.resolve(),
      },
    });
    const both = await Promise.allSettled([app.sendTask("a"), app.sendTask("b")]);
    expect(both.map((each) => each.status)).toEqual(["rejected", "rejected"]);
    fails = false;
    await app.sendTask("c");
    expect(asked.declared).toHaveLength(2);
    expect(messages(asked).map((message) => message.headers["task"])).toEqual(["c"]);
  });

  test("a connection that cannot be had is tried again by the policy, for all queues at once", async () => {
    const unreachable = new ConnectionError("broker-unreachable", "nobody there");
    const { app, asked, clock } = setup({
      answers: { link: "call", publish: () => Promise.reject(unreachable) },
    });
    const queues = Array.from({ length: 30 }, (_, at) => ({ name: "t", queue: `q${at}` }));
    const sending = app.sendMany(queues);
    await settled();
    await clock.advance(600);
    expect(new Set((await sending).map((each) => each.status === "rejected" && each.reason))).toEqual(
      new Set([unreachable]),
    );
    expect(asked.batches.map(({ messages: all }) => all.length)).toEqual([30, 30, 30, 30]);
    expect(clock.waiting).toBe(0);
    expect(await failureOf(app.sendTask("t", { retry: false }))).toBe(unreachable);
    expect(asked.batches).toHaveLength(5);
  });

  test("where taskPublishRetry is off, a connection that cannot be had fails at once", async () => {
    const lost = new ConnectionError("broker-lost", "gone");
    const { app, asked } = setup({
      taskPublishRetry: false,
      answers: { publish: () => Promise.reject(lost) },
    });
    expect(await failureOf(app.sendTask("t"))).toBe(lost);
    expect(asked.batches).toHaveLength(1);
  });

  test("a retry that is none is refused", async () => {
    const { app, asked } = setup();
    expect(await failureOf(app.sendTask("t", { retry: "no" as never }))).toMatchObject({
      code: "option-invalid",
    });
    expect(asked.batches).toHaveLength(0);
  });

  test("a queue that cannot be declared takes no messages of other queues along", async () => {
    const { app, asked } = setup({
      answers: {
        declare: (entities) =>
          entities.some((entity) => entity.kind === "queue" && entity.name === "bad")
            ? Promise.reject(new ConfigurationError("topology-mismatch", "406"))
            : Promise.resolve(),
      },
    });
    const all = await Promise.allSettled([
      app.sendTask("a"),
      app.sendTask("b", { queue: "bad" }),
      app.sendTask("c", { queue: "good" }),
    ]);
    expect(all.map((each) => each.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(messages(asked).map((message) => message.headers["task"])).toEqual(["a", "c"]);
    const many = await app.sendMany([{ name: "d" }, { name: "e", queue: "bad" }]);
    expect(many.map((each) => each.status)).toEqual(["fulfilled", "rejected"]);
  });

  test("gives the broker the deadline of the setting, or of the call", async () => {
    const { app, asked, clock } = setup({ publishTimeout: "5s" });
    await app.sendTask("t");
    await app.sendTask("t", { timeout: "250ms" });
    expect(asked.batches.map(({ call }) => (call?.deadline ?? 0) - clock.now())).toEqual([5000, 250]);
  });

  test("a call with its own deadline or signal does not share a batch, whose verdicts come together", async () => {
    const { app, asked } = setup();
    const { signal } = new AbortController();
    await Promise.all([
      app.sendTask("a"),
      app.sendTask("b", { timeout: 5 }),
      app.sendTask("c", { signal }),
      app.sendTask("d"),
    ]);
    expect(asked.batches.map(({ messages, call }) => [messages.length, call?.signal])).toEqual(
      expect.arrayContaining([[2, undefined], [1, undefined], [1, signal]]),
    );
    expect(asked.batches).toHaveLength(3);
  });

  test("an aborted call rejects with the reason of its signal", async () => {
    const { app, asked } = setup({
      answers: {
        publish: (batch, call) =>
          new Promise((resolve) => {
            call?.signal?.addEventListener("abort", () =>
              resolve(batch.map(() => ({ is: "unknown", reason: "aborted" }))));
          }),
      },
    });
    const control = new AbortController();
    const failing = failureOf(app.sendTask("t", { signal: control.signal }));
    await settled();
    control.abort(new Error("enough"));
    expect((await failing).message).toBe("enough");
    expect((await failureOf(app.sendTask("t", { signal: control.signal }))).message).toBe("enough");
    expect(asked.batches).toHaveLength(1);
  });

  test.each([
    [{ is: "unroutable" } as const, "publish-unroutable", "no queue"],
    [{ is: "refused", reason: "queue full", retry: false } as const, "publish-refused", "queue full"],
    [{ is: "unknown", reason: "link lost" } as const, "publish-unknown", "link lost"],
  ])("the verdict %j is a coded error that names the task", async (verdict, code, text) => {
    const { app } = setup({ answers: { publish: (batch) => Promise.resolve(batch.map(() => verdict)) } });
    const error = await failureOf(app.sendTask("tasks.add", { taskId: "id-1" }));
    expect(error).toMatchObject({ name: "PublishError", code });
    expect(error.message).toContain("tasks.add[id-1]");
    expect(error.message).toContain(text.replace("no queue", "no queue takes"));
  });

  test("a refused publish is repeated by the policy, with its waits", async () => {
    const times: number[] = [];
    const { app, clock } = setup({
      answers: {
        publish: (batch, _call, turn) => {
          times.push(clock.now());
          return Promise.resolve(
            batch.map(() => turn < 4 ? { is: "refused", reason: "full", retry: true } : { is: "confirmed" }),
          );
        },
      },
    });
    const start = clock.now();
    const sending = app.sendTask("t");
    await settled();
    await clock.advance(2000);
    await sending;
    expect(times.map((time) => time - start)).toEqual([0, 0, 200, 600]);
  });

  test("a refused publish gives up after the policy's repeats, and at once with retry false", async () => {
    const { app, asked, clock } = setup({
      answers: {
        publish: (batch) =>
          Promise.resolve(batch.map(() => ({ is: "refused", reason: "full", retry: true }))),
      },
    });
    const failing = failureOf(app.sendTask("t", { retryPolicy: { maxRetries: 2, intervalStart: 1 } }));
    await settled();
    await clock.advance(10_000);
    expect(await failing).toMatchObject({ code: "publish-refused" });
    expect(asked.batches).toHaveLength(3);
    expect(await failureOf(app.sendTask("t", { retry: false }))).toMatchObject({ code: "publish-refused" });
    expect(asked.batches).toHaveLength(4);
  });

  test("a retry policy that makes no sense is refused before anything is sent", async () => {
    const { app, asked } = setup();
    for (
      const [policy, code] of [
        [{ maxRetries: -1 }, "option-invalid"],
        [{ maxRetries: "many" }, "option-invalid"],
        [{ max: 1 }, "option-unknown"],
        [{ intervalStep: "soon" }, "duration-invalid"],
        [5, "option-invalid"],
      ] as const
    ) {
      expect(await failureOf(app.sendTask("t", { retryPolicy: policy as never }))).toMatchObject({ code });
    }
    expect(asked.batches).toHaveLength(0);
  });

  test("repeats do not share a batch with newer calls, whose deadline is another", async () => {
    const { app, asked, clock } = setup({
      answers: {
        publish: (batch, _call, turn) =>
          Promise.resolve(
            batch.map(() =>
              turn === 1 ? { is: "refused", reason: "full", retry: true } : { is: "confirmed" }
            ),
          ),
      },
    });
    const first = app.sendTask("a", { retryPolicy: { intervalStart: 1 } });
    await settled();
    clock.time += 999;
    const second = app.sendTask("b");
    await clock.advance(1);
    await Promise.all([first, second]);
    expect(asked.batches.map(({ messages }) => messages.length)).toEqual([1, 1, 1]);
    expect(new Set(asked.batches.map(({ call }) => call?.deadline)).size).toBe(2);
  });

  test("a publish of unknown outcome is repeated only on demand", async () => {
    const { app, asked } = setup({
      answers: {
        publish: (batch, _call, turn) =>
          Promise.resolve(
            batch.map(() => turn % 2 === 1 ? { is: "unknown", reason: "lost" } : { is: "confirmed" }),
          ),
      },
    });
    expect(await failureOf(app.sendTask("t"))).toMatchObject({ code: "publish-unknown" });
    expect(asked.batches).toHaveLength(1);
    const sending = app.sendTask("t", { retry: "unknown" });
    // The second turn confirms the next call; the odd turns do not.
    await sending;
    expect(asked.batches).toHaveLength(2);
  });

  test("repeats keep the message's id", async () => {
    const { app, asked, clock } = setup({
      answers: {
        publish: (batch, _call, turn) =>
          Promise.resolve(
            batch.map(() => turn === 1 ? { is: "unknown", reason: "lost" } : { is: "confirmed" }),
          ),
      },
    });
    const sending = app.sendTask("t", { retry: "unknown" });
    await settled();
    await clock.advance(1000);
    await sending;
    const [first, second] = messages(asked);
    expect(first?.headers["id"]).toBe(second?.headers["id"]);
  });

  test("arguments that cannot be written fail before anything is sent", async () => {
    const { app, asked } = setup({ answers: { maxMessage: 200 } });
    expect(await failureOf(app.sendTask("t", { args: [() => 1] }))).toMatchObject({ name: "EncodeError" });
    expect(await failureOf(app.sendTask("t", { args: ["x".repeat(300)] }))).toMatchObject({
      name: "EncodeError",
      code: "encode-too-large",
    });
    expect(await failureOf(app.sendTask("t", { args: [1, undefined, 2] }))).toMatchObject({
      name: "TypeError",
      code: "argument-undefined",
    });
    expect(asked.declared).toHaveLength(0);
    expect(asked.batches).toHaveLength(0);
  });

  test("what JavaScript leaves undefined at the end, or by name, is left out", async () => {
    const { app, asked } = setup();
    await app.sendTask("t", { args: [1, null, undefined, undefined], kwargs: { a: 1, b: undefined } });
    expect(bodyText(messages(asked)[0])).toMatch(/^\[\[1, null\], {"a": 1}, /);
    expect(messages(asked)[0]?.headers).toMatchObject({ argsrepr: "(1, None)", kwargsrepr: "{'a': 1}" });
  });

  test("arguments are checked against known params before anything is sent", async () => {
    const { app, asked } = setup();
    const add = app.task("t.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
    const failures = await Promise.all([
      failureOf(add.delay(...[1] as unknown as [number, number])),
      failureOf(add.applyAsync([1, 2], { kwargs: { x: 1 } })),
      failureOf(add.s(1).delay(...[] as unknown as [number])),
    ]);
    for (const failure of failures) {
      expect(failure).toMatchObject({ name: "TypeError", code: "task-arguments" });
    }
    expect(asked.batches).toHaveLength(0);
  });

  test("sendTask asks nothing of a declaration, as in Celery", async () => {
    const { app, asked } = setup();
    app.task("t.add", { params: ["x", "y"], queue: "own" }, (x: number, y: number) => x + y);
    await app.sendTask("t.add", { args: [1] });
    expect(asked.batches[0]?.messages[0]?.to).toEqual({ exchange: "", routingKey: "celery" });
  });

  test("unknown options are errors that say what was meant", async () => {
    const { app, asked } = setup();
    const add = app.task("t.add", () => 1);
    for (
      const failing of [app.sendTask("t", { quue: "q" } as never), add.applyAsync([], { quue: "q" } as never)]
    ) {
      const error = await failureOf(failing);
      expect(error).toMatchObject({ code: "option-unknown" });
      expect(error.message).toContain('Did you mean "queue"?');
    }
    expect(await failureOf(app.sendTask("t", { queue: 5 } as never))).toMatchObject({
      code: "option-invalid",
    });
    expect(await failureOf(app.sendTask("t", { countdown: -1 }))).toMatchObject({ code: "duration-invalid" });
    expect(await failureOf(app.sendTask(""))).toMatchObject({ code: "task-invalid" });
    expect(asked.batches).toHaveLength(0);
  });

  test("without a broker is a coded error", async () => {
    const { Celery } = await import("../../mod.ts");
    const app = new Celery("none");
    expect(await failureOf(app.sendTask("t"))).toMatchObject({ code: "broker-missing" });
  });
});

describe("sendMany", () => {
  test("is one batch with one outcome each, in order", async () => {
    const { app, asked } = setup({
      answers: {
        publish: (batch) =>
          Promise.resolve(batch.map((_, at) => at === 1 ? { is: "unroutable" } : { is: "confirmed" })),
      },
    });
    const add = app.task("t.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
    const outcomes = await app.sendMany([
      add.s(1, 1),
      add.s(2, 2).set({ queue: "nowhere" }),
      add.s(3) as never,
      { name: "other", args: [4], compression: "gzip" },
      { name: "broken", args: [undefined, 1] },
    ]);
    expect(asked.batches).toHaveLength(1);
    expect(asked.declared[0]).toHaveLength(6);
    expect(outcomes.map((each) => each.status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
      "rejected",
    ]);
    expect(outcomes[1]).toMatchObject({ reason: { code: "publish-unroutable" } });
    expect(outcomes[2]).toMatchObject({ reason: { code: "task-arguments" } });
    expect(outcomes[4]).toMatchObject({ reason: { code: "argument-undefined" } });
  });

  test("of nothing asks nothing", async () => {
    const { app, asked } = setup();
    expect(await app.sendMany([])).toEqual([]);
    expect(asked.batches).toHaveLength(0);
  });
});

describe("where a link lives for one call", () => {
  const call = { link: "call" } as const;

  test("each publish brings what it needs declared, for all its queues in order", async () => {
    const { app, asked } = setup({ answers: call });
    await Promise.all([app.sendTask("a"), app.sendTask("b", { queue: "other" }), app.sendTask("c")]);
    await app.sendTask("d");
    const declared = asked.batches.map(({ declare }) =>
      declare?.map((entity) => entity.kind === "binding" ? `${entity.queue}*` : entity.name)
    );
    expect(declared).toEqual([
      ["celery", "celery", "celery*", "other", "other", "other*"],
      ["celery", "celery", "celery*"],
    ]);
  });

  test("no call waits for another's declaration or publish", async () => {
    const { app, asked } = setup({
      answers: {
        ...call,
        publish: (batch, _call, turn) =>
          turn === 1 ? new Promise(() => {}) : Promise.resolve(batch.map(() => ({ is: "confirmed" }))),
      },
    });
    void app.sendTask("stuck");
    await settled();
    expect((await app.sendTask("free", { taskId: "id" })).id).toBe("id");
    expect(asked.batches).toHaveLength(2);
  });

  test("close does not wait for the calls of others", async () => {
    const { app, asked } = setup({ answers: { ...call, publish: () => new Promise(() => {}) } });
    void app.sendTask("stuck");
    await app.close();
    expect(asked).toMatchObject({ closed: 1 });
    expect(asked.batches).toHaveLength(1);
  });

  test("a failed declaration is forgotten", async () => {
    let fails = true;
    const { app } = setup({
      answers: {
        ...call,
        declare: () =>
          fails ? Promise.reject(new ConfigurationError("topology-mismatch", "406")) : Promise.resolve(),
      },
    });
    expect((await failureOf(app.sendTask("t"))).message).toBe("406");
    fails = false;
    await app.sendTask("t");
  });
});

describe("closing", () => {
  test("waits for what is on its way, closes once, and leaves the app usable", async () => {
    const { app, asked } = setup({ backend: memoryBackend() });
    const sending = app.sendTask("t");
    await app.close();
    expect(asked.batches).toHaveLength(1);
    expect(asked.closed).toBe(1);
    await sending;
    await app.sendTask("t");
    expect(asked.declared).toHaveLength(2);
  });

  test("opens nothing that was never used", async () => {
    const { app, asked } = setup();
    await app.close();
    expect(asked).toMatchObject({ closed: 0, declared: [], batches: [] });
  });

  test("is what `await using` does", async () => {
    const { app, asked } = setup();
    {
      await using closing = app;
      await closing.sendTask("t");
    }
    expect(asked.closed).toBe(1);
  });

  test("does not close what a fork shares", async () => {
    const { app, asked } = setup();
    const fork = app.fork();
    await app.sendTask("t");
    await fork.sendTask("t");
    await fork.close();
    expect(asked.closed).toBe(0);
    await app.close();
    expect(asked.closed).toBe(1);
  });
});
