import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PyDatetime, PyFloat } from "../../mod.ts";
import { innerOf } from "../../src/app/inner.ts";
import { optionsFromWire } from "../../src/canvas/options.ts";
import { encodeJson } from "../../src/protocol/json.ts";
import { bodyText, failureOf, messages, setup, thrownBy } from "../app/setup.ts";
import { often } from "../support/thorough.ts";

describe("a signature", () => {
  test("has Celery's form on the wire", () => {
    const { app } = setup();
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    expect(encodeJson(add.s(2, 3).toJSON())).toBe(
      '{"task": "tasks.add", "args": [2, 3], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false}',
    );
    expect(add.si(2, 3).toJSON().immutable).toBe(true);
  });

  test("writes its options in Celery's spelling and in seconds, those without a wire form left out", () => {
    const { app } = setup();
    const error = app.signature("on_error");
    const signature = app.signature("t", {
      kwargs: { a: 1 },
      countdown: "250ms",
      expires: "1m",
      taskId: "id",
      routingKey: "k",
      timeLimit: 30,
      softTimeLimit: "10.5s",
      ignoreResult: false,
      link: [error, error.set({ queue: "q" })],
      linkError: error,
      retry: "unknown",
      retryPolicy: { maxRetries: 1, intervalMax: "2s" },
      timeout: 5,
      signal: new AbortController().signal,
    });
    expect(signature.toJSON()).toMatchObject({ args: [], kwargs: { a: 1 } });
    const plain = {
      task: "on_error",
      args: [],
      kwargs: {},
      options: {},
      subtask_type: null,
      immutable: false,
    };
    expect(signature.toJSON().options).toEqual({
      task_id: "id",
      routing_key: "k",
      ignore_result: false,
      countdown: 0.25,
      time_limit: 30,
      soft_time_limit: 10.5,
      expires: 60,
      link: [plain, { ...plain, options: { queue: "q" } }],
      link_error: [plain],
      retry: true,
      retry_policy: { max_retries: 1, interval_max: 2 },
    });
  });

  test("an instant among its options travels as kombu's datetime", () => {
    const { app } = setup();
    const wire = app.signature("t", { eta: new Date(Date.UTC(2030, 0, 1)) }).toJSON();
    expect(encodeJson(wire.options)).toBe(
      '{"eta": {"__type__": "datetime", "__value__": "2030-01-01T00:00:00+00:00"}}',
    );
  });

  test("is never changed", () => {
    const { app } = setup();
    const add = app.task("t", (x: number) => x);
    const first = add.s(1);
    const second = first.set({ queue: "q" }).set({ priority: 3 });
    expect(first.options).toEqual({});
    expect(second.options).toEqual({ queue: "q", priority: 3 });
  });

  test("freezes an id once", () => {
    const { app, drawn } = setup();
    const frozen = app.signature("t").freeze();
    expect(frozen.options.taskId).toBe(drawn[0]);
    expect(frozen.freeze().options.taskId).toBe(drawn[0]);
    expect(frozen.freeze("mine").options.taskId).toBe("mine");
  });

  test("merges as Celery does when it is sent: arguments before its own, options over its own", async () => {
    const { app, asked } = setup();
    const named = { params: ["x", "a?", "b?"] } as const;
    const add = app.task("t", named, (x: number, a?: number, b?: number) => x + (a ?? 0) + (b ?? 0));
    const signature = add.signature([3], { kwargs: { a: 1, b: 1 }, queue: "own", priority: 1 });
    await signature.applyAsync([] as never, { kwargs: { b: 2 }, queue: "called" });
    await (add.s(3) as unknown as { delay(...args: number[]): Promise<unknown> }).delay(1, 2);
    await (add.si(3) as unknown as { delay(...args: number[]): Promise<unknown> }).delay(1, 2);
    expect(messages(asked).map(bodyText).map((text) => text.slice(0, text.indexOf(', {"callbacks"'))))
      .toEqual([
        '[[3], {"a": 1, "b": 2}',
        "[[1, 2, 3], {}",
        "[[3], {}",
      ]);
    expect(asked.batches[0]?.messages[0]).toMatchObject({
      to: { routingKey: "called" },
      message: { properties: { priority: 1 } },
    });
  });

  test("sends its links in the message", async () => {
    const { app, asked } = setup();
    const add = app.task("t.add", (x: number, y: number) => x + y);
    await add.s(1, 2).set({ link: add.s(10), linkError: [add.si(0, 0), add.s(1)] }).applyAsync();
    const body = JSON.parse(bodyText(messages(asked)[0])) as [
      unknown,
      unknown,
      Record<string, { args: unknown }[]>,
    ];
    expect(body[2]["callbacks"]?.map(({ args }) => args)).toEqual([[10]]);
    expect(body[2]["errbacks"]?.map(({ args }) => args)).toEqual([[0, 0], [1]]);
  });

  test("with an unknown option is refused where it is made", () => {
    const { app } = setup();
    expect(thrownBy(() => app.signature("t", { quue: "q" } as never))).toMatchObject({
      code: "option-unknown",
    });
    expect(thrownBy(() => app.signature(""))).toMatchObject({ code: "task-invalid" });
  });
});

describe("a signature as a peer wrote it", () => {
  test("is sent value for value, with its stamps, links and chord", async () => {
    const { app, asked } = setup();
    const plain = {
      task: "next",
      args: [new PyFloat("1.0")],
      kwargs: {},
      options: { x: 2n ** 70n },
      subtask_type: null,
      immutable: false,
    };
    await innerOf(app).sendSignature(
      {
        task: "tasks.add",
        args: [new PyDatetime("2030-01-02T03:04:05.678901+09:00"), new PyFloat("1.0")],
        kwargs: { big: 2n ** 64n },
        options: {
          task_id: "id",
          queue: "cap",
          eta: new PyDatetime("2030-01-02T03:04:05.678901+09:00"),
          expires: "2031-01-02T03:04:05.678901+09:00",
          countdown: null,
          link: [plain],
          link_error: plain,
          chord: plain,
          chain: [plain],
          group_id: "gid",
          group_index: 3,
          stamped_headers: ["monitoring_id"],
          monitoring_id: "m-1",
          replaced_task_nesting: 2,
        },
        subtask_type: null,
        immutable: false,
      },
      [new PyFloat("2.50")],
      {},
    );
    const text =
      '{"task": "next", "args": [1.0], "kwargs": {}, "options": {"x": 1180591620717411303424}, "subtask_type": null, "immutable": false}';
    expect(bodyText(messages(asked)[0])).toBe(
      '[[2.50, {"__type__": "datetime", "__value__": "2030-01-02T03:04:05.678901+09:00"}, 1.0], {"big": 18446744073709551616}, ' +
        `{"callbacks": [${text}], "errbacks": [${text}], "chain": [${text}], "chord": ${text}}]`,
    );
    expect(messages(asked)[0]?.headers).toMatchObject({
      id: "id",
      eta: "2030-01-02T03:04:05.678901+09:00",
      expires: "2031-01-02T03:04:05.678901+09:00",
      group: "gid",
      group_index: 3,
      stamped_headers: ["monitoring_id"],
      stamps: { monitoring_id: "m-1" },
      replaced_task_nesting: 2,
    });
    expect(asked.batches[0]?.messages[0]?.to).toEqual({ exchange: "", routingKey: "cap" });
  });

  test("gets the options of the call over its own, and of a declaration under them", async () => {
    const { app, asked } = setup();
    app.task("t", { queue: "declared", priority: 2 }, () => 1);
    const wire = {
      task: "t",
      args: [],
      kwargs: {},
      options: { priority: 5 },
      subtask_type: null,
      immutable: true,
    };
    await innerOf(app).sendSignature(wire, ["result"], { parentId: "p", rootId: "r" });
    const [sent] = asked.batches[0]?.messages ?? [];
    expect(sent?.to.routingKey).toBe("declared");
    expect(sent?.message.properties["priority"]).toBe(5);
    expect(sent?.message.headers).toMatchObject({ parent_id: "p", root_id: "r", argsrepr: "()" });
  });

  test.each([
    ["no object", 5, "signature-invalid"],
    ["without a task", { args: [] }, "signature-invalid"],
    [
      "of a canvas",
      { task: "celery.group", args: [], kwargs: {}, options: {}, subtask_type: "group" },
      "signature-unsupported",
    ],
    ["with a broken link", { task: "t", args: [], kwargs: {}, options: { link: [5] } }, "signature-invalid"],
  ])("that is %s is a coded error", async (_what, wire, code) => {
    const { app, asked } = setup();
    expect(await failureOf(innerOf(app).sendSignature(wire as never, [], {}))).toMatchObject({ code });
    expect(asked.batches).toHaveLength(0);
  });

  test.each<[string, unknown]>([
    ...["task_id", "reply_to", "group_id", "root_id", "parent_id", "queue", "exchange", "routing_key"]
      .flatMap(
        (name): [string, unknown][] => [[name, {}], [name, 5], [name, []], [name, true]],
      ),
    ...["serializer", "compression", "shadow", "argsrepr", "kwargsrepr"].flatMap((
      name,
    ): [string, unknown][] => [[name, 5], [name, { text: {} }]]),
    ...["priority", "group_index", "countdown", "time_limit", "soft_time_limit"].flatMap((
      name,
    ): [string, unknown][] => [[name, "x"], [name, {}], [name, 2n ** 70n], [name, new PyFloat("1e999")]]),
    ["headers", "abc"],
    ["headers", ["x"]],
    ["headers", new PyDatetime("2030-01-01")],
    ["chain", "abc"],
    ["chain", [5]],
    ["chain", 5],
    ["chain", {}],
    ["link", 5],
    ["link", [{ task: 5 }]],
    ["link", [{ task: "t", args: {} }]],
    ["link_error", [{ task: "t", kwargs: [] }]],
    ["chord", { task: "t", options: "abc" }],
    ["eta", {}],
    ["eta", 5],
    ["expires", []],
    ["ignore_result", "x"],
    ["add_to_parent", 5],
    ["retry_policy", 5],
    ["retry_policy", [1]],
    ["stamped_headers", "abc"],
    ["stamped_headers", [5]],
  ])("whose option %s is of a wrong kind is refused by the option's name (case %#)", async (name, value) => {
    const { app, asked } = setup();
    const wire = { task: "t", args: [], kwargs: {}, options: { [name]: value }, subtask_type: null };
    const error = await failureOf(innerOf(app).sendSignature(wire as never, [], {}));
    expect(error).toMatchObject({ name: "InvalidTaskError", code: "signature-invalid" });
    expect(error.message).toContain(name);
    expect(asked).toMatchObject({ batches: [], declared: [] });
  });

  test("whose options are null or empty texts says nothing, as in Celery", async () => {
    const { app, asked } = setup();
    const names = [
      "queue",
      "exchange",
      "routing_key",
      "priority",
      "headers",
      "chain",
      "link",
      "retry_policy",
    ];
    const options = { ...Object.fromEntries(names.map((name) => [name, null])), chain: [] };
    for (const more of [{}, { queue: "", task_id: "", serializer: "", compression: "" }]) {
      const wire = { task: "t", args: [], kwargs: {}, options: { ...options, ...more } };
      await innerOf(app).sendSignature(wire as never, [], {});
    }
    expect(asked.batches.map(({ messages: [sent] }) => [sent?.to, sent?.message.headers["id"] !== ""]))
      .toEqual([
        [{ exchange: "", routingKey: "celery" }, true],
        [{ exchange: "", routingKey: "celery" }, true],
      ]);
  });

  test("keeps a custom header named text, and reads numbers in exact form", () => {
    const { options } = optionsFromWire({
      headers: { text: "5" },
      priority: new PyFloat("5.0"),
      chain: chainOf("t"),
    });
    expect(options).toEqual({ headers: { text: "5" }, priority: 5, chain: [chainOf("t")] });
  });

  test("has only stamps of its own: nothing that objects inherit", async () => {
    const { app, asked } = setup();
    const options = JSON.parse(
      '{"stamped_headers": ["constructor", "toString", "__proto__", "mine"], "mine": 1, "__proto__": {"queue": "evil", "x": 1}}',
    ) as Record<string, unknown>;
    await innerOf(app).sendSignature({ task: "t", args: [], kwargs: {}, options } as never, [], {});
    const stamps = messages(asked)[0]?.headers["stamps"] as Record<string, unknown>;
    expect(Object.entries(stamps)).toEqual([["__proto__", { queue: "evil", x: 1 }], ["mine", 1]]);
    expect(Object.getPrototypeOf(stamps)).toBe(Object.prototype);
    expect(asked.batches[0]?.messages[0]?.to.routingKey).toBe("celery");
  });

  test("never has its huge values in an error", async () => {
    const huge = "x".repeat(100_000);
    for (
      const wire of [
        { task: "t", options: { queue: [huge] } },
        { task: "t", options: { expires: huge } },
        { task: "t", options: { queue: huge } },
        { task: "t", options: {}, subtask_type: huge },
        { task: "t", options: {}, subtask_type: { [huge]: huge } },
      ]
    ) {
      const { app } = setup({ taskCreateMissingQueues: false });
      const error = await failureOf(innerOf(app).sendSignature(wire as never, [], {}));
      expect(error.message.length).toBeLessThan(300);
    }
  });

  test("with arbitrary options is sent or ends in a coded error", async () => {
    const names =
      "task_id reply_to group_id group_index root_id parent_id queue exchange routing_key priority eta expires countdown " +
      "time_limit soft_time_limit serializer compression headers shadow argsrepr kwargsrepr ignore_result add_to_parent chain link " +
      "link_error chord retry retry_policy stamped_headers replaced_task_nesting __proto__ constructor";
    const near = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom<unknown>("", "a", "json", "gzip", 0, 1, -1, 1e308, 255, null, true, [], {}, [{
        task: "t",
      }]),
      fc.constantFrom<unknown>({ task: "t", args: [], kwargs: {} }, "2030-01-01T00:00:00", {
        max_retries: null,
      }),
      fc.constantFrom<unknown>(
        new PyFloat("1.0"),
        new PyFloat("1e999"),
        new PyDatetime("2030-01-01"),
        2n ** 70n,
      ),
    );
    const wires = fc.oneof(
      {
        arbitrary: fc.array(fc.tuple(fc.constantFrom(...names.split(" ")), near), { maxLength: 4 }),
        weight: 3,
      },
      { arbitrary: fc.array(fc.tuple(fc.string(), near), { maxLength: 4 }), weight: 1 },
    ).map((entries) => Object.fromEntries(entries));
    const seen = new Map<string, number>();
    const count = (kind: string): void => void seen.set(kind, (seen.get(kind) ?? 0) + 1);
    const expected = new Set(["InvalidTaskError", "EncodeError", "ConfigurationError"]);
    await fc.assert(
      fc.asyncProperty(wires, async (options) => {
        try {
          optionsFromWire(options);
          count("read");
        } catch (error) {
          expect(expected).toContain((error as Error).name);
        }
        const { app } = setup({ timezone: "Europe/Oslo" });
        const wire = { task: "t", args: [], kwargs: {}, options };
        try {
          await innerOf(app).sendSignature(wire as never, [], {});
          count("sent");
        } catch (error) {
          expect(expected).toContain((error as Error).name);
          count(String((error as { readonly code?: unknown }).code));
        }
      }),
      { numRuns: often(2000) },
    );
    console.log(`options of signatures: ${[...seen].map(([kind, many]) => `${kind} ${many}`).join(", ")}`);
    expect([...seen.keys()]).toEqual(expect.arrayContaining(["read", "sent", "signature-invalid"]));
  });

  test("without kwargs, subtask_type and immutable is taken, as Celery takes it", async () => {
    const { app, asked } = setup();
    await innerOf(app).sendSignature({ task: "t", args: [1], options: {} } as never, [2], {});
    expect(bodyText(messages(asked)[0])).toMatch(/^\[\[2, 1\], {}, /);
  });

  test("what is read of its options is what was written", () => {
    const { app } = setup();
    const { options } = app.signature("t", {
      countdown: 5,
      taskId: "id",
      groupIndex: 0,
      retry: true,
      retryPolicy: { maxRetries: 2 },
    });
    const wire = app.signature("t", options).toJSON().options;
    expect(optionsFromWire(wire).options).toEqual(options);
  });
});

function chainOf(task: string): never {
  return { task, args: [], kwargs: {}, options: {}, subtask_type: null, immutable: false } as never;
}
