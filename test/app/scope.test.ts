import { describe, expect, test } from "vitest";
import { memoryBackend } from "../../adapters/memory/mod.ts";
import { Celery } from "../../mod.ts";
import type { AsyncResult, CeleryOptions, Platform } from "../../mod.ts";
import { innerOf, type SendScope } from "../../src/app/inner.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { type Asked, messages, setup, stubBroker, thrownBy } from "./setup.ts";

/** A running task of an app, as its worker makes it. */
function taskOf(
  app: Celery,
  more: Partial<SendScope> = {},
): SendScope & { readonly children: AsyncResult<unknown>[] } {
  const children: AsyncResult<unknown>[] = [];
  return {
    app: innerOf(app),
    taskId: "the-parent",
    rootId: "the-root",
    priority: 5,
    note: (child) => void children.push(child),
    children,
    ...more,
  };
}

const inside = <R>(scope: unknown, work: () => R): R => systemPlatform.context.run(scope, work);
const names = (asked: Asked): unknown[] => messages(asked).map((message) => message.headers["task"]);

describe("a task sent in a task", () => {
  test("carries parent and root, and is noted as a child once it is confirmed", async () => {
    const { app, asked } = setup();
    const add = app.task("t.add", (x: number) => x);
    const scope = taskOf(app);
    const child = await inside(scope, async () => {
      await Promise.resolve();
      return await add.delay(1);
    });
    expect(messages(asked)[0]?.headers).toMatchObject({ parent_id: "the-parent", root_id: "the-root" });
    expect(scope.children).toEqual([child]);
  });

  test("is not noted where the call says so, nor where it failed", async () => {
    const { app } = setup({
      answers: {
        publish: (batch, _call, turn) =>
          Promise.resolve(batch.map(() => turn === 1 ? { is: "confirmed" } : { is: "unroutable" })),
      },
    });
    const scope = taskOf(app);
    await inside(scope, () => app.sendTask("a", { addToParent: false }));
    await inside(scope, () => app.sendTask("b")).catch(() => {});
    expect(scope.children).toEqual([]);
  });

  test("keeps what the call says of its parent and root", async () => {
    const { app, asked } = setup();
    await inside(taskOf(app), () => app.sendTask("a", { parentId: null, rootId: "mine" }));
    expect(messages(asked)[0]?.headers).toMatchObject({ parent_id: null, root_id: "mine" });
  });

  test("has its parent's priority only where the setting says so", async () => {
    const plain = setup();
    await inside(taskOf(plain.app), () => plain.app.sendTask("a"));
    expect(messages(plain.asked)[0]?.properties["priority"]).toBe(0);
    const heir = setup({ taskInheritParentPriority: true });
    await inside(taskOf(heir.app), () => heir.app.sendTask("a"));
    await inside(taskOf(heir.app), () => heir.app.sendTask("a", { priority: 1 }));
    expect(messages(heir.asked).map(({ properties }) => properties["priority"])).toEqual([5, 1]);
  });

  test("outside has neither parent nor a root but itself", async () => {
    const { app, asked } = setup();
    const { id } = await app.sendTask("a");
    expect(messages(asked)[0]?.headers).toMatchObject({ parent_id: null, root_id: id });
  });

  test("concurrent tasks do not mix their children", async () => {
    const { app } = setup();
    const scopes = Array.from({ length: 20 }, (_, at) => taskOf(app, { taskId: `parent-${at}` }));
    await Promise.all(scopes.map((scope) =>
      inside(scope, async () => {
        await app.sendTask("first");
        await Promise.resolve();
        await Promise.all([app.sendTask("second"), app.sendTask("third")]);
      })
    ));
    expect(scopes.map(({ children }) => children.length)).toEqual(Array(20).fill(3));
  });

  test("without an async context only the explicit way knows the parent", async () => {
    const platform: Platform = {
      ...systemPlatform,
      context: { available: false, run: (_value, work) => work(), current: () => undefined },
    };
    const { app, asked } = setup({ platform });
    const scope = taskOf(app);
    await app.sendTask("implicit");
    await innerOf(app).send("explicit", {}, scope);
    expect(messages(asked).map(({ headers }) => headers["parent_id"])).toEqual([null, "the-parent"]);
    expect(scope.children).toHaveLength(1);
    expect(thrownBy(() => app.run(() => 1))).toMatchObject({ code: "context-missing" });
  });
});

describe("who sends", () => {
  const fork = (app: Celery, options: CeleryOptions = {}): { fork: Celery; asked: Asked } => {
    const { broker, asked } = stubBroker();
    return { fork: app.fork({ broker, ...options }), asked };
  };

  test("is the fork whose worker runs the task, for all that its origin declared", async () => {
    const { app, asked } = setup();
    const add = app.task("t.add", (x: number) => x);
    const other = fork(app);
    await inside(taskOf(other.fork), async () => {
      await add.delay(1);
      await add.s(2).applyAsync();
      await app.sendTask("by name");
      await app.sendMany([add.s(3)]);
    });
    expect(names(asked)).toEqual([]);
    expect(names(other.asked)).toEqual(["t.add", "t.add", "by name", "t.add"]);
    await add.delay(1);
    expect(names(asked)).toEqual(["t.add"]);
  });

  test("is the fork itself where it is named, whatever the context says", async () => {
    const { app, asked } = setup();
    const add = app.task("t.add", (x: number) => x);
    const one = fork(app);
    const two = fork(app);
    await inside(taskOf(one.fork), async () => {
      await two.fork.sendTask("a");
      await two.fork.tasksOf<{ add: typeof add }>()("t.add").delay(1);
      await two.fork.signature("b").applyAsync([]);
    });
    expect([names(asked), names(one.asked), names(two.asked)]).toEqual([[], [], ["a", "t.add", "b"]]);
  });

  test("is the fork in whose `run` it happens", async () => {
    const { app, asked } = setup();
    const add = app.task("t.add", (x: number) => x);
    const one = fork(app);
    const two = fork(app);
    await Promise.all([
      one.fork.run(async () => {
        await Promise.resolve();
        await add.delay(1);
      }),
      two.fork.run(() => add.delay(2)),
    ]);
    expect([names(asked), names(one.asked), names(two.asked)]).toEqual([[], ["t.add"], ["t.add"]]);
  });

  test("is an app of another broker itself, with the running task as parent", async () => {
    const ours = setup();
    const theirs = setup();
    const charge = theirs.app.task("charge", () => 1);
    const scope = taskOf(ours.app);
    await inside(scope, () => charge.delay());
    expect(names(ours.asked)).toEqual([]);
    expect(messages(theirs.asked)[0]?.headers).toMatchObject({
      parent_id: "the-parent",
      root_id: "the-root",
    });
    expect(scope.children).toHaveLength(1);
  });

  test("is the running task's app where the declaring one has no broker", async () => {
    const { app, asked } = setup();
    const shared = new Celery("library");
    const helper = shared.task("helper", { queue: "helpers" }, () => 1);
    await inside(taskOf(app), () => helper.delay());
    expect(names(asked)).toEqual(["helper"]);
    expect(asked.batches[0]?.messages[0]?.to.routingKey).toBe("helpers");
  });

  test("a result is read from the app's own backend in a task of another app, whoever would send", async () => {
    const { app } = setup({ backend: memoryBackend() });
    const theirs = memoryBackend();
    const text = '{"status":"SUCCESS","result":1,"task_id":"x1"}';
    await theirs.store({ taskId: "x1", status: "SUCCESS", text }, { ttl: undefined });
    const reader = new Celery("reader", { backend: theirs });
    const states = [await reader.result("x1").state()];
    await inside(taskOf(app), async () => {
      states.push(await reader.result("x1").state(), await reader.fork().result("x1").state());
      states.push(await new Celery("library").result("x1").state());
    });
    expect(states).toEqual(["SUCCESS", "SUCCESS", "SUCCESS", "PENDING"]);
  });

  test("a fork sees tasks declared after it", () => {
    const { app } = setup();
    const other = app.fork();
    app.task("later", () => 1);
    expect(innerOf(other).tasks.has("later")).toBe(true);
  });
});

describe("include", () => {
  test("runs each loader once for an app and its forks, and a failed one again", async () => {
    let runs = 0;
    let fails = true;
    const { app } = setup({
      include: [async () => {
        runs++;
        await Promise.resolve();
        if (fails) throw new Error("no such module");
      }],
    });
    await expect(innerOf(app).ready()).rejects.toThrow("no such module");
    fails = false;
    await innerOf(app).ready();
    await Promise.all([innerOf(app).ready(), innerOf(app.fork()).ready()]);
    expect(runs).toBe(2);
  });
});

describe("the brand", () => {
  test("knows an app, and says what is none or of another copy", () => {
    const { app } = setup();
    expect(innerOf(app).name).toBe("test");
    expect(thrownBy(() => innerOf({}))).toMatchObject({ code: "app-invalid" });
    expect(thrownBy(() => innerOf(null))).toMatchObject({ code: "app-invalid" });
    const foreign = { [Symbol.for("celeriac.app")]: { copy: Symbol("celeriac") } };
    expect(thrownBy(() => innerOf(foreign))).toMatchObject({ code: "two-copies" });
  });
});
