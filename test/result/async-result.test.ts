import { describe, expect, test } from "vitest";
import { memoryBackend } from "../../adapters/memory/mod.ts";
import { Celery, RemoteTaskError } from "../../mod.ts";
import type { Backend, Platform, ResultRecord } from "../../mod.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { encodeResult, type ResultMeta } from "../../src/protocol/result.ts";
import { failureOf, HandClock, settled } from "../app/setup.ts";

function record(
  taskId: string,
  status: string,
  result: unknown,
  more: Partial<ResultMeta> = {},
): ResultRecord {
  const meta: ResultMeta = { status, result, traceback: null, children: [], dateDone: null, taskId, ...more };
  return { taskId, status, text: encodeResult(meta) };
}

const BOOM = { exc_type: "ValueError", exc_message: ["boom", { k: 1 }], exc_module: "builtins" };

/** An app on a memory backend that counts what it is asked. */
function setup(platform: Platform = systemPlatform) {
  const backend = memoryBackend();
  const asked: string[] = [];
  let watching = 0;
  const counted: Backend = {
    transport: backend.transport,
    address: backend.address,
    features: backend.features,
    store: (...args) => backend.store(...args),
    load(...args) {
      asked.push("load");
      return backend.load(...args);
    },
    async *watch(ids, call) {
      asked.push("watch");
      watching++;
      try {
        yield* backend.watch(ids, call);
      } finally {
        watching--;
      }
    },
    forget: (ids) => backend.forget(ids),
    close: () => backend.close(),
  };
  const app = new Celery("results", { backend: counted, platform });
  const store = async (...args: Parameters<typeof record>): Promise<void> => {
    await backend.store(record(...args), { ttl: undefined });
  };
  return { app, asked, store, watching: () => watching };
}

describe("get", () => {
  test("gives the result that is there, and asks only once", async () => {
    const { app, asked, store, watching } = setup();
    await store("id", "SUCCESS", { sum: 5 });
    const result = app.result("id");
    expect(await result.get()).toEqual({ sum: 5 });
    expect(await result.get({ timeout: 0 })).toEqual({ sum: 5 });
    expect(await result.state()).toBe("SUCCESS");
    expect(asked).toEqual(["watch"]);
    expect(watching()).toBe(0);
  });

  test("waits for the result through other states", async () => {
    const { app, store } = setup();
    const getting = app.result("id").get({ timeout: 5 });
    await store("id", "STARTED", { pid: 1, hostname: "w" });
    await store("id", "PROGRESS", { pct: 50 });
    await store("id", "SUCCESS", null);
    expect(await getting).toBe(null);
  });

  test("throws a failure as one error with what the worker stored", async () => {
    const { app, store } = setup();
    await store("id", "FAILURE", BOOM, { traceback: "Traceback (most recent call last): …" });
    const error = await failureOf(app.result("id").get());
    expect(error).toBeInstanceOf(RemoteTaskError);
    expect(error).toMatchObject({
      name: "RemoteTaskError",
      code: "task-failed",
      taskId: "id",
      excType: "ValueError",
      excMessage: ["boom", { k: 1 }],
      excModule: "builtins",
      traceback: "Traceback (most recent call last): …",
      message: 'ValueError: ("boom", {"k":1})',
    });
  });

  test("throws for a revoked task, and returns either with propagate false", async () => {
    const { app, store } = setup();
    await store("id", "REVOKED", {
      exc_type: "TaskRevokedError",
      exc_message: ["expired"],
      exc_module: "celery.exceptions",
    });
    expect(await failureOf(app.result("id").get())).toMatchObject({
      code: "task-revoked",
      message: "TaskRevokedError: expired",
    });
    expect(await app.result("id").get({ propagate: false })).toMatchObject({ code: "task-revoked" });
  });

  test("a result that looks like an error is a result", async () => {
    const { app, store } = setup();
    await store("id", "SUCCESS", BOOM);
    expect(await app.result("id").get()).toEqual(BOOM);
  });

  test("gives up at its deadline, and leaves nothing behind", async () => {
    const clock = new HandClock();
    const { app, watching } = setup({ ...systemPlatform, clock });
    const failing = failureOf(app.result("id").get({ timeout: "2s" }));
    await settled();
    await clock.advance(1999);
    expect(watching()).toBe(1);
    await clock.advance(1);
    expect(await failing).toMatchObject({ name: "TimeoutError", code: "result-timeout" });
    await settled();
    expect([clock.waiting, watching()]).toEqual([0, 0]);
  });

  test("leaves no timer behind when the result comes in time", async () => {
    const clock = new HandClock();
    const { app, store } = setup({ ...systemPlatform, clock });
    const getting = app.result("id").get({ timeout: 5 });
    await settled();
    await store("id", "SUCCESS", 1);
    expect(await getting).toBe(1);
    expect(clock.waiting).toBe(0);
  });

  test("with a timeout of 0 looks once", async () => {
    const { app, asked, store } = setup();
    expect(await failureOf(app.result("id").get({ timeout: 0 }))).toMatchObject({ code: "result-timeout" });
    await store("id", "STARTED", null);
    expect(await failureOf(app.result("id").get({ timeout: 0 }))).toMatchObject({ code: "result-timeout" });
    await store("id", "SUCCESS", 1);
    expect(await app.result("id").get({ timeout: 0 })).toBe(1);
    expect(asked).toEqual(["load", "load", "load"]);
  });

  test("stops with the reason of its signal", async () => {
    const { app, watching } = setup();
    const control = new AbortController();
    const failing = failureOf(app.result("id").get({ signal: control.signal }));
    await settled();
    control.abort(new Error("enough"));
    expect((await failing).message).toBe("enough");
    expect((await failureOf(app.result("id").get({ signal: control.signal }))).message).toBe("enough");
    await settled();
    expect(watching()).toBe(0);
  });

  test("inside a task is refused unless it is allowed, as in Celery", async () => {
    const { app, store } = setup();
    await store("id", "SUCCESS", 1);
    const inside = <R>(work: () => R): R => systemPlatform.context.run({ app: null, taskId: "parent" }, work);
    const error = await failureOf(inside(() => app.result("id").get()));
    expect(error).toMatchObject({ code: "result-wait-in-task" });
    expect(await inside(() => app.result("id").get({ disableSyncSubtasks: false }))).toBe(1);
    expect(await inside(() => app.result("id").state())).toBe("SUCCESS");
  });

  test("keeps every distinction of the wire in exact mode", async () => {
    const text =
      '{"status": "SUCCESS", "result": 1.0, "traceback": null, "children": [], "date_done": null, "task_id": "x"}';
    const backend = memoryBackend();
    await backend.store({ taskId: "x", status: "SUCCESS", text }, { ttl: undefined });
    const plain = new Celery("plain", { backend });
    const kept = new Celery("exact", { backend, json: "exact" });
    expect(await plain.result("x").get({ timeout: 0 })).toBe(1);
    expect(String(await kept.result("x").get({ timeout: 0 }))).toBe("1.0");
  });
});

describe("a result", () => {
  test("has no then: awaiting it gives itself", async () => {
    const { app } = setup();
    const result = app.result("id");
    expect("then" in result).toBe(false);
    expect(await Promise.resolve(result)).toBe(result);
  });

  test("tells its state and all that is stored with it", async () => {
    const { app, store } = setup();
    const result = app.result("id");
    expect(await result.state()).toBe("PENDING");
    expect([await result.ready(), await result.successful(), await result.failed()]).toEqual([
      false,
      false,
      false,
    ]);
    expect([await result.info(), await result.traceback(), await result.dateDone(), await result.children()])
      .toEqual([
        null,
        null,
        null,
        null,
      ]);
    await store("id", "PROGRESS", { pct: 50 });
    expect([await result.state(), await result.info(), await result.ready()]).toEqual(["PROGRESS", {
      pct: 50,
    }, false]);
    await store("id", "FAILURE", BOOM, { traceback: "tb", dateDone: "2026-11-22T06:00:00+00:00" });
    expect([await result.ready(), await result.successful(), await result.failed()]).toEqual([
      true,
      false,
      true,
    ]);
    expect(await result.info()).toMatchObject({ excType: "ValueError" });
    expect([await result.traceback(), await result.dateDone()]).toEqual(["tb", "2026-11-22T06:00:00+00:00"]);
  });

  test("gives its children, a group by its members, and skips what is no result", async () => {
    const { app, store } = setup();
    const tuple = (id: string): unknown => [[id, null], null];
    await store("id", "SUCCESS", 1, {
      children: [tuple("a"), [["group", null], [tuple("b"), [["inner", null], [tuple("c")]]]], 5, null, [[
        "x",
      ]], tuple("d")],
    });
    const children = await app.result("id").children();
    expect(children?.map(({ id }) => id)).toEqual(["a", "b", "c", "x", "d"]);
  });

  test("is a tuple in the form in which results travel", () => {
    const { app } = setup();
    expect(app.result("id").asTuple()).toEqual([["id", null], null]);
  });

  test("forgets", async () => {
    const { app, store } = setup();
    await store("id", "SUCCESS", 1);
    const result = app.result("id");
    await result.get();
    await result.forget();
    expect(await result.state()).toBe("PENDING");
  });

  test("without a backend says so", async () => {
    const result = new Celery("none").result("id");
    for (const asking of [result.get(), result.state(), result.forget(), result.children()]) {
      expect(await failureOf(asking)).toMatchObject({ name: "ConfigurationError", code: "backend-missing" });
    }
  });
});

describe("iteration", () => {
  test("yields each stored state that it sees, the final one, and ends", async () => {
    const { app, store, watching } = setup();
    const seen: unknown[] = [];
    const watchingIt = (async () => {
      for await (const { state, meta } of app.result("id")) {
        seen.push([state, meta]);
        if (state === "PROGRESS") await store("id", "SUCCESS", 5);
      }
    })();
    await settled();
    await store("id", "STARTED", { pid: 1 });
    await settled();
    await store("id", "PROGRESS", { pct: 50 });
    await watchingIt;
    expect(seen).toEqual([["STARTED", { pid: 1 }], ["PROGRESS", { pct: 50 }], ["SUCCESS", 5]]);
    expect(watching()).toBe(0);
  });

  test("of a done task yields its final state, a failure as the error, again and again", async () => {
    const { app, store } = setup();
    await store("id", "FAILURE", BOOM);
    const result = app.result("id");
    for (let turn = 0; turn < 2; turn++) {
      const seen: unknown[] = [];
      for await (const change of result) seen.push(change);
      expect(seen).toMatchObject([{
        state: "FAILURE",
        meta: { code: "task-failed", excType: "ValueError" },
      }]);
    }
  });

  test("can be left", async () => {
    const { app, store, watching } = setup();
    await store("id", "STARTED", null);
    for await (const { state } of app.result("id")) {
      expect(state).toBe("STARTED");
      break;
    }
    await settled();
    expect(watching()).toBe(0);
  });
});
