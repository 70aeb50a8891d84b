import { describe, expect, test } from "vitest";
import { memoryBackend, memoryBroker } from "../../adapters/memory/mod.ts";
import { Celery, ConfigurationError, ConnectionError } from "../../mod.ts";
import { Producer, resultOf, retryPolicy } from "../../src/producer/mod.ts";
import { Worker } from "../../src/worker/mod.ts";
import { bodyText, failureOf, messages, settled } from "../app/setup.ts";
import { setup } from "./setup.ts";

describe("sending", () => {
  test("resolves with the id when the broker confirmed, not before", async () => {
    let confirm = (): void => {};
    const { producer } = setup({
      answers: {
        publish: (batch) =>
          new Promise((resolve) => {
            confirm = () => resolve(batch.map(() => ({ is: "confirmed" })));
          }),
      },
    });
    let sent = false;
    const sending = producer.sendTask("t", { taskId: "the-id" }).then((result) => {
      sent = true;
      return result;
    });
    await settled();
    expect(sent).toBe(false);
    confirm();
    expect(await sending).toEqual({ id: "the-id" });
  });

  test("a thousand calls of one tick are each confirmed with its own id, at once", async () => {
    const { producer, asked } = setup();
    const sent = await Promise.all(
      Array.from({ length: 1000 }, (_, at) => producer.sendTask("t", { args: [at] })),
    );
    expect(asked.batches.length).toBe(1000);
    expect(messages(asked).map((message) => message.headers["id"])).toEqual(sent.map(({ id }) => id));
    expect(new Set(sent.map(({ id }) => id)).size).toBe(1000);
  });

  test.each(["shared", "call"] as const)(
    "brings its queue, exchange and binding with each publish, and each once (link %s)",
    async (link) => {
      const { producer, asked } = setup({ answers: { link } });
      const due = [
        { kind: "exchange", name: "celery", type: "direct", durable: true, autoDelete: false },
        { kind: "queue", name: "celery", durable: true, exclusive: false, autoDelete: false },
        { kind: "binding", queue: "celery", exchange: "celery", routingKey: "celery" },
      ];
      await producer.sendTask("t");
      await producer.sendMany([{ name: "t" }, { name: "u" }]);
      expect(asked.declared).toEqual([due, due]);
    },
  );

  test("the deadline is the setting's, or the call's; a call with its own goes alone", async () => {
    const { producer, asked, clock } = setup({ publishTimeout: "5s" });
    const { signal } = new AbortController();
    await producer.sendMany([
      { name: "a" },
      { name: "b", timeout: "250ms" },
      { name: "c", signal },
      { name: "d" },
    ]);
    const seen = asked.batches.map(({ messages: { length }, call }) => [
      length,
      (call?.deadline ?? 0) - clock.now(),
      call?.signal === signal,
    ]);
    expect(seen).toEqual(expect.arrayContaining([[2, 5000, false], [1, 250, false], [1, 5000, true]]));
    expect(seen).toHaveLength(3);
  });

  test("an aborted call rejects with the reason of its signal, and sends nothing when it was aborted before", async () => {
    const { producer, asked } = setup({
      answers: {
        publish: (batch, call) =>
          new Promise((resolve) => {
            call?.signal?.addEventListener("abort", () =>
              resolve(batch.map(() => ({ is: "unknown", reason: "aborted" }))));
          }),
      },
    });
    const control = new AbortController();
    const failing = failureOf(producer.sendTask("t", { signal: control.signal }));
    await settled();
    control.abort(new Error("enough"));
    expect((await failing).message).toBe("enough");
    expect((await failureOf(producer.sendTask("t", { signal: control.signal }))).message).toBe("enough");
    expect(asked.batches).toHaveLength(1);
  });

  test.each([
    [{ is: "unroutable" } as const, "publish-unroutable", "no queue takes"],
    [{ is: "refused", reason: "queue full", retry: false } as const, "publish-refused", "queue full"],
    [{ is: "unknown", reason: "link lost" } as const, "publish-unknown", "link lost"],
    [undefined, "publish-unknown", "no verdict"],
  ])("the verdict %j is a coded error that names the task", async (verdict, code, text) => {
    const { producer } = setup({
      answers: { publish: (batch) => Promise.resolve(verdict === undefined ? [] : batch.map(() => verdict)) },
    });
    const error = await failureOf(producer.sendTask("tasks.add", { taskId: "id-1" }));
    expect(error).toMatchObject({ name: "PublishError", code });
    expect(error.message).toContain("tasks.add[id-1]");
    expect(error.message).toContain(text);
  });

  test("a refused publish is repeated by the policy, with its waits, and leaves no timer", async () => {
    const times: number[] = [];
    const { producer, clock } = setup({
      taskPublishRetryPolicy: retryPolicy({
        maxRetries: 3,
        intervalStart: "50ms",
        intervalStep: "100ms",
        intervalMax: "150ms",
      }),
      answers: {
        publish: (batch) => {
          times.push(clock.now());
          return Promise.resolve(batch.map(() => ({ is: "refused", reason: "full", retry: true })));
        },
      },
    });
    const start = clock.now();
    const failing = failureOf(producer.sendTask("t"));
    await settled();
    await clock.advance(5000);
    expect(await failing).toMatchObject({ code: "publish-refused" });
    expect(times.map((time) => time - start)).toEqual([0, 50, 200, 400]);
    expect(clock.waiting).toBe(0);
    expect(await failureOf(producer.sendTask("t", { retry: false }))).toMatchObject({
      code: "publish-refused",
    });
    expect(times).toHaveLength(5);
  });

  test.each(["broker-unreachable", "broker-lost", "broker-timeout"])(
    "what had no connection (%s) is repeated as what was refused, and then is that error",
    async (code) => {
      const error = new ConnectionError(code, "nobody there");
      const { producer, asked, clock } = setup({ answers: { publish: () => Promise.reject(error) } });
      const failing = failureOf(producer.sendTask("t"));
      await settled();
      await clock.advance(600);
      expect(await failing).toBe(error);
      expect(asked.batches).toHaveLength(4);
      expect(asked.declared).toHaveLength(4);
      expect(clock.waiting).toBe(0);
      expect(await failureOf(producer.sendTask("t", { retry: false }))).toBe(error);
      expect(await failureOf(producer.sendTask("t", { timeout: 0 }))).toBe(error);
      expect(asked.batches).toHaveLength(6);
      const once = setup({ taskPublishRetry: false, answers: { publish: () => Promise.reject(error) } });
      expect(await failureOf(once.producer.sendTask("t"))).toBe(error);
      expect(once.asked.batches).toHaveLength(1);
    },
  );

  test("a connection that can be had at the second try sends the message", async () => {
    const { producer, clock } = setup({
      answers: {
        publish: (batch, _call, turn) =>
          turn === 1
            ? Promise.reject(new ConnectionError("broker-unreachable", "nobody there"))
            : Promise.resolve(batch.map(() => ({ is: "confirmed" }))),
      },
    });
    const sending = producer.sendTask("t", { taskId: "the-id" });
    await settled();
    await clock.advance(0);
    expect(await sending).toEqual({ id: "the-id" });
  });

  test.each([
    new ConnectionError("broker-credentials-refused", "no"),
    new ConfigurationError("topology-mismatch", "no"),
  ])("what another try does not mend is not repeated: %s", async (error) => {
    const { producer, asked } = setup({ answers: { publish: () => Promise.reject(error) } });
    expect(await failureOf(producer.sendTask("t"))).toBe(error);
    expect(asked.batches).toHaveLength(1);
  });

  test("an abort ends the wait before a repeat at once, asks nothing more, and leaves nothing", async () => {
    const { producer, asked, clock } = setup({
      taskPublishRetryPolicy: retryPolicy({ intervalStart: 20 }),
      answers: {
        publish: (batch) =>
          Promise.resolve(batch.map(() => ({ is: "refused", reason: "full", retry: true }))),
      },
    });
    const control = new AbortController();
    const failing = failureOf(producer.sendTask("t", { signal: control.signal }));
    await settled();
    expect(clock.waiting).toBe(1);
    control.abort(new Error("enough"));
    expect((await failing).message).toBe("enough");
    expect(clock.waiting).toBe(0);
    expect(asked.batches).toHaveLength(1);
  });

  test("unknown outcomes are repeated on demand alone, with the same id, and never past the deadline", async () => {
    const { producer, asked, clock } = setup({
      taskPublishRetryPolicy: retryPolicy({ maxRetries: null as never, intervalStep: 1 }),
      answers: { publish: (batch) => Promise.resolve(batch.map(() => ({ is: "unknown", reason: "lost" }))) },
    });
    expect(await failureOf(producer.sendTask("t"))).toMatchObject({ code: "publish-unknown" });
    expect(asked.batches).toHaveLength(1);
    const failing = failureOf(
      producer.sendTask("t", { retry: "unknown", timeout: 1 }),
    );
    await settled();
    await clock.advance(5000);
    expect(await failing).toMatchObject({ code: "publish-unknown" });
    expect(asked.batches).toHaveLength(3);
    expect(new Set(messages(asked).slice(1).map(({ headers }) => headers["id"])).size).toBe(1);
  });

  test("what the broker throws is the rejection, and nothing hangs", async () => {
    const { producer } = setup({
      answers: {
        publish: () => {
          throw new Error("broken");
        },
      },
    });
    const both = await Promise.allSettled([producer.sendTask("a"), producer.sendTask("b")]);
    expect(both.map((each) => each.status === "rejected" && (each.reason as Error).message)).toEqual([
      "broken",
      "broken",
    ]);
    await producer.close();
  });

  test("arguments that cannot be written fail before anything is sent", async () => {
    const { producer, asked } = setup({ answers: { maxMessage: 200 } });
    const codes = await Promise.all([
      producer.sendTask("t", { args: [() => 1] }),
      producer.sendTask("t", { args: ["x".repeat(300)] }),
      producer.sendTask("t", { args: [1, undefined, 2] }),
      // Holes are undefined too.
      producer.sendTask("t", { args: new Array(2).concat([1]) as unknown[] }),
    ].map(async (each) => (await failureOf(each)).code));
    expect(codes).toEqual([
      "json-unencodable",
      "encode-too-large",
      "argument-undefined",
      "argument-undefined",
    ]);
    expect(asked.batches).toHaveLength(0);
  });

  test("what JavaScript leaves undefined at the end, or by name, is left out", async () => {
    const { producer, asked } = setup();
    await producer.sendTask("t", {
      args: [1, null, undefined, undefined],
      kwargs: { a: 1, b: undefined },
      queue: undefined as never,
      replyTo: undefined as never,
    });
    expect(bodyText(messages(asked)[0])).toMatch(/^\[\[1, null\], {"a": 1}, /);
    expect(messages(asked)[0]?.properties["reply_to"]).toMatch(/^0000/);
  });
});

describe("sendMany", () => {
  test("is one batch with one outcome each, in order; what names its own deadline goes alone", async () => {
    const { producer, asked } = setup({
      answers: {
        publish: (batch) =>
          Promise.resolve(
            batch.map((each) =>
              each.message.headers["task"] === "b" ? { is: "unroutable" } : { is: "confirmed" }
            ),
          ),
      },
    });
    const outcomes = await producer.sendMany([
      { name: "a", args: [1], taskId: "id-a" },
      { name: "b" },
      { name: "c", args: [undefined, 1] },
      { name: "d", timeout: 1, taskId: "id-d" },
      { name: "" },
    ]);
    expect(outcomes).toMatchObject([
      { status: "fulfilled", value: { id: "id-a" } },
      { status: "rejected", reason: { code: "publish-unroutable" } },
      { status: "rejected", reason: { code: "argument-undefined" } },
      { status: "fulfilled", value: { id: "id-d" } },
      { status: "rejected", reason: { code: "task-invalid" } },
    ]);
    expect(asked.batches.map((batch) => batch.messages.length).toSorted((a, b) => a - b)).toEqual([1, 2]);
  });

  test("of nothing asks nothing", async () => {
    const { producer, asked } = setup();
    expect(await producer.sendMany([])).toEqual([]);
    expect(asked.batches).toHaveLength(0);
  });
});

describe("a producer of its own", () => {
  test("its making does no I/O, starts no timer and draws no id", () => {
    const { asked, clock, drawn } = setup();
    expect([asked.batches, asked.declared, clock.waiting, drawn]).toEqual([[], [], 0, []]);
  });

  test("close closes the broker, and leaves the producer usable", async () => {
    const { producer, asked } = setup();
    await producer.sendTask("t");
    await producer.close();
    expect(asked.closed).toBe(1);
    await producer.sendTask("t");
    expect(asked.declared).toHaveLength(2);
  });

  test("a repeat that waits while the producer is closed is sent all the same", async () => {
    const { producer, asked, clock } = setup({
      answers: {
        publish: (batch, _call, turn) =>
          Promise.resolve(
            batch.map(() =>
              turn === 1 ? { is: "refused", reason: "full", retry: true } : { is: "confirmed" }
            ),
          ),
      },
      taskPublishRetryPolicy: retryPolicy({ intervalStart: 1 }),
    });
    const sending = producer.sendTask("t", { taskId: "the-id" });
    await settled();
    await producer.close();
    expect(asked.closed).toBe(1);
    await clock.advance(1000);
    expect(await sending).toEqual({ id: "the-id" });
    expect(clock.waiting).toBe(0);
  });

  test("what a batch was refused is repeated as one batch", async () => {
    const { producer, asked, clock } = setup({
      answers: {
        publish: (batch, _call, turn) =>
          Promise.resolve(
            batch.map((_, at) =>
              turn === 1 && at > 0 ? { is: "refused", reason: "full", retry: true } : { is: "confirmed" }
            ),
          ),
      },
      taskPublishRetryPolicy: retryPolicy({ intervalStart: 1 }),
    });
    const sending = producer.sendMany([{ name: "a" }, { name: "b" }, { name: "c" }]);
    await settled();
    await clock.advance(1000);
    expect((await sending).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled"]);
    expect(asked.batches.map(({ messages: all }) => all.length)).toEqual([3, 2]);
  });

  test("await using closes it", async () => {
    const { producer, asked } = setup();
    {
      await using closing = producer;
      await closing.sendTask("t");
    }
    expect(asked.closed).toBe(1);
  });

  test("a worker runs what it sent, and resultOf reads the result", async () => {
    const broker = memoryBroker();
    const backend = memoryBackend();
    await using app = new Celery("worker", { broker, backend });
    app.task("tasks.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
    const producer = new Producer({ broker });
    const many = await Promise.all(
      Array.from({ length: 100 }, (_, at) => producer.sendTask<number>("tasks.add", { args: [at, 1] })),
    );
    await using worker = new Worker(app);
    void worker.run();
    const results = await Promise.all(many.map((sent) => resultOf(backend, sent).get({ timeout: 10 })));
    expect(results).toEqual(many.map((_, at) => at + 1));
    expect(await resultOf<number>(backend, many[0]?.id ?? "").state()).toBe("SUCCESS");
    await producer.close();
  });
});
