import { describe, expect, test } from "vitest";
import * as v from "valibot";
import * as z from "zod";
import { Celery } from "../../src/app/app.ts";
import { innerOf } from "../../src/app/inner.ts";
import type { Running } from "../../src/app/running.ts";
import { bodyText, failureOf, messages, setup, thrownBy } from "./setup.ts";

const running = { id: "the run" } as Running;

describe("a declared task", () => {
  test("runs its function with the bound arguments", () => {
    const { app } = setup();
    app.task("t.add", { params: ["x", "y?"] }, (x: number, y: number = 10) => x + y);
    const invoke = innerOf(app).tasks.get("t.add")?.invoke.bind(innerOf(app).tasks.get("t.add"));
    expect(invoke?.(running, [1, 2], {})).toBe(3);
    expect(invoke?.(running, [1], {})).toBe(11);
    expect(invoke?.(running, [], { y: 5, x: 1 })).toBe(6);
    expect(thrownBy(() => invoke?.(running, [], {})).message).toBe(
      "t.add() missing 1 required positional argument: 'x'",
    );
  });

  test("gets the running task first with bind", () => {
    const { app } = setup();
    app.task("t.bound", { bind: true, params: ["x"] }, (task, x: number) => `${task.id} ${x}`);
    expect(innerOf(app).tasks.get("t.bound")?.invoke(running, [], { x: 1 })).toBe("the run 1");
  });

  test("without params takes any number of arguments, and refuses names with the cure", () => {
    const { app } = setup();
    app.task("t.any", (...all: number[]) => all.length);
    expect(innerOf(app).tasks.get("t.any")?.invoke(running, [1, 2, 3], {})).toBe(3);
    const error = thrownBy(() => innerOf(app).tasks.get("t.any")?.invoke(running, [], { x: 1, y: 2 }));
    expect(error).toMatchObject({ name: "TypeError", code: "task-kwargs-unnamed" });
    expect(error.message).toContain('app.task("t.any", { params: ["x", "y"] }, …)');
  });

  test("without params gets null for null, not a default", () => {
    const { app } = setup();
    app.task("t.null", (x: unknown = "default") => x);
    expect(innerOf(app).tasks.get("t.null")?.invoke(running, [null], {})).toBe(null);
  });

  test.each([
    ["zod", z.object({ to: z.string(), n: z.coerce.number().default(1) })],
    ["valibot", v.object({ to: v.string(), n: v.optional(v.pipe(v.unknown(), v.transform(Number)), 1) })],
  ])("with input sees the object that %s gave", async (_library, input) => {
    const { app } = setup();
    app.task("mail", { input: input as never }, (object, task) => [object, task.id]);
    const task = innerOf(app).tasks.get("mail");
    const run = async (args: unknown[], kwargs: Record<string, unknown>) =>
      await task?.invoke(running, args, kwargs);
    expect(await run([{ to: "a" }], {})).toEqual([{ to: "a", n: 1 }, "the run"]);
    expect(await run([], { to: "a", n: "5" })).toEqual([{ to: "a", n: 5 }, "the run"]);
    const refused = await failureOf(run([], { to: 3 }));
    expect(refused).toMatchObject({ name: "ValueError", code: "task-input" });
    expect(refused.message).toMatch(/^mail\(\) refused its input: to: /);
    expect((await failureOf(run([{ to: "a" }, 2], {}))).message).toBe(
      "mail() takes 1 positional argument but 2 were given",
    );
    expect(await failureOf(run([{ to: "a" }], { n: 1 }))).toMatchObject({ code: "task-arguments" });
  });

  test("with input waits for a schema that answers later", async () => {
    const { app } = setup();
    app.task(
      "late",
      { input: z.object({ n: z.number() }).refine(async () => await Promise.resolve(true)) },
      (m) => m.n,
    );
    expect(await innerOf(app).tasks.get("late")?.invoke(running, [], { n: 4 })).toBe(4);
  });

  test("with input and params binds positions to names", () => {
    const { app } = setup();
    app.task(
      "mail",
      { params: ["to", "n?"], input: z.object({ to: z.string(), n: z.number().optional() }) },
      (m) => m,
    );
    const task = innerOf(app).tasks.get("mail");
    expect(task?.invoke(running, ["a", 1], {})).toEqual({ to: "a", n: 1 });
    expect(task?.invoke(running, ["a"], {})).toEqual({ to: "a" });
    expect(thrownBy(() => task?.invoke(running, [], {})).message).toBe(
      "mail() missing 1 required positional argument: 'to'",
    );
  });

  test("with input and params is sent by name, so that a Python worker could run it", async () => {
    const { app, asked } = setup();
    const mail = app.task("mail", { params: ["to"], input: z.object({ to: z.string() }) }, (m) => m);
    await mail.delay({ to: "a" });
    expect(bodyText(messages(asked)[0])).toMatch(/^\[\[\], {"to": "a"}, /);
  });

  test("hands on what its function throws as it is", () => {
    const { app } = setup();
    const boom = new RangeError("boom");
    app.task("t.boom", () => {
      throw boom;
    });
    expect(thrownBy(() => innerOf(app).tasks.get("t.boom")?.invoke(running, [], {}))).toBe(boom);
  });
});

describe("declaring", () => {
  test("one name twice is an error, also in a fork", () => {
    const { app } = setup();
    app.task("t.add", () => 1);
    expect(thrownBy(() => app.task("t.add", () => 1))).toMatchObject({ code: "task-duplicate" });
    expect(thrownBy(() => app.fork().task("t.add", () => 1))).toMatchObject({ code: "task-duplicate" });
  });

  test.each([
    ["an unknown option", { que: "io" }, "option-unknown", 'Did you mean "queue"?'],
    ["a bad rate", { rateLimit: "10/x" }, "setting-invalid", "rateLimit"],
    ["bind with input", { bind: true, input: z.object({}) }, "task-invalid", "both bind and input"],
    ["an input that is no schema", { input: {} }, "task-invalid", "no Standard Schema"],
    ["an input with a rest", { input: z.object({}), params: ["*rest"] }, "params-invalid", "rest"],
  ])("%s is an error", (_what, options, code, text) => {
    const { app } = setup();
    const error = thrownBy(() => app.task("t", options as never, () => 1));
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(text);
    expect(innerOf(app).tasks.has("t")).toBe(false);
  });

  test("a task without a name or function is an error", () => {
    const { app } = setup();
    expect(thrownBy(() => app.task("", () => 1))).toMatchObject({ code: "task-invalid" });
    expect(thrownBy(() => app.task("t", {} as never))).toMatchObject({ code: "task-invalid" });
    expect(thrownBy(() => app.task("t", {}, undefined as never))).toMatchObject({ code: "task-invalid" });
  });
});

test("an option that no worker of ours acts on yet is told, once a task", () => {
  const lines: string[] = [];
  const app = new Celery("idle", {
    logger: { log: (level, message) => void lines.push(`${level} ${message}`) },
  });
  app.task("tasks.plain", { acksLate: true }, () => 1);
  expect(lines).toEqual([]);
  app.task("tasks.limited", { timeLimit: 5, rateLimit: "10/m" }, () => 1);
  expect(lines).toEqual([
    "warning Task tasks.limited sets rateLimit: celeriac's workers do not act on that yet.",
  ]);
});

test("keyword arguments for a task whose parameters have no names are refused before anything is sent", async () => {
  const app = new Celery("unnamed", {});
  const task = app.task("tasks.unnamed", (x: number) => x);
  await expect(task.applyAsync([1], { kwargs: { y: 2 } } as object)).rejects.toMatchObject({
    code: "task-kwargs-unnamed",
  });
});
