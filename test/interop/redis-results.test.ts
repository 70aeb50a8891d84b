import { Redis } from "ioredis";
import { inject } from "vitest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import type { Backend } from "../../src/backend.ts";
import { RemoteTaskError } from "../../src/errors.ts";
import { decodeException } from "../../src/protocol/exception.ts";
import { decodeResult, encodeResult, type ResultMeta } from "../../src/protocol/result.ts";
import { type Python, startCeleryClient } from "../support/python.ts";
import { until } from "../support/wait.ts";

const urls = { broker: inject("amqp"), backend: inject("redis") };

let python: Python;
let backend: Backend;
let redis: Redis;

beforeAll(async () => {
  python = await startCeleryClient(urls);
  backend = redisBackend(urls.backend);
  redis = new Redis(urls.backend);
});

afterAll(async () => {
  await python.stop();
  await backend.close();
  redis.disconnect();
});

function store(
  taskId: string,
  status: string,
  result: unknown,
  more: Partial<ResultMeta> = {},
): Promise<string> {
  const text = encodeResult({
    ...{ status, result, traceback: null, children: [], dateDone: null, taskId },
    ...more,
  });
  return backend.store({ taskId, status, text }, { ttl: 60_000 });
}

async function read(taskId: string): Promise<ResultMeta | undefined> {
  const [record] = await backend.load([taskId]);
  return record === undefined ? undefined : decodeResult(record.text);
}

interface Got {
  readonly value: unknown;
  readonly repr: string;
  readonly type: string;
}

describe("what we store, Python's AsyncResult reads", () => {
  test.each<[string, unknown, string]>([
    ["a number", 149, "149"],
    ["a float that is whole", 1e21, "1e+21"],
    ["a big integer", 2n ** 70n, "1180591620717411303424"],
    ["text", "ü€😀\n'\"", "'ü€😀\\n\\'\"'"],
    ["null", null, "None"],
    ["a tree", { a: [1, [2.5, { b: true }], []], c: {} }, "{'a': [1, [2.5, {'b': True}], []], 'c': {}}"],
  ])("%s", async (_name, value, repr) => {
    const id = crypto.randomUUID();
    expect(await store(id, "SUCCESS", value)).toBe("stored");
    expect((await python.call<Got>("get", { id })).repr).toBe(repr);
    expect(await python.call("state", { id })).toMatchObject({ state: "SUCCESS", children: [] });
    await python.call("forget", { id });
    expect(await redis.exists(`celery-task-meta-${id}`)).toBe(0);
  });

  test.each<[string, { exc_type: string; exc_message: unknown[]; exc_module: string }, object]>([
    [
      "a builtin is Python's own class",
      { exc_type: "KeyError", exc_message: ["missing"], exc_module: "builtins" },
      { type: "KeyError", module: "builtins", args: ["missing"] },
    ],
    [
      "one of Celery's is Celery's class",
      { exc_type: "NotRegistered", exc_message: ["tasks.nope"], exc_module: "celery.exceptions" },
      { type: "NotRegistered", module: "celery.exceptions" },
    ],
    [
      "one that nobody has is made up, with its name",
      { exc_type: "OrderError", exc_message: ["late", 3], exc_module: "celeriac" },
      { type: "OrderError", args: ["late", 3], bases: expect.arrayContaining(["Exception"]) },
    ],
  ])("a failure: %s", async (_name, result, raised) => {
    const id = crypto.randomUUID();
    await store(id, "FAILURE", result, { traceback: "Traceback (most recent call last):\n  here\n" });
    await expect(python.call("get", { id })).rejects.toMatchObject(raised);
    expect(await python.call("state", { id })).toMatchObject({
      state: "FAILURE",
      traceback: expect.stringContaining("here"),
    });
  });

  test("children, date and a state of the task's own", async () => {
    const [id, child] = [crypto.randomUUID(), crypto.randomUUID()];
    await store(id, "PROGRESS", { current: 1, total: 3 });
    expect(await python.call("state", { id })).toMatchObject({
      state: "PROGRESS",
      result: { current: 1, total: 3 },
    });
    await store(id, "SUCCESS", 1, {
      children: [[[child, null], null]],
      dateDone: "2026-11-22T06:02:59.603000+00:00",
    });
    expect(await python.call("state", { id })).toMatchObject({
      state: "SUCCESS",
      children: [child],
      date_done: expect.stringMatching(/^2026-11-22T06:02:59\.603/),
    });
  });
});

describe("what Python stores, we read", () => {
  test("a result, and its key lives for Celery's day", async () => {
    const id = crypto.randomUUID();
    await python.call("mark_as_done", { id, result: { sum: 149, list: [1.5, null] } });
    expect(await read(id)).toMatchObject({
      status: "SUCCESS",
      result: { sum: 149, list: [1.5, null] },
      taskId: id,
    });
    expect(await redis.ttl(`celery-task-meta-${id}`)).toBeGreaterThan(86_390);
    await backend.forget([id]);
    expect(await python.call("state", { id })).toMatchObject({ state: "PENDING" });
  });

  test("a failure, of a builtin and of a class that only Python has", async () => {
    const [id, own] = [crypto.randomUUID(), crypto.randomUUID()];
    await python.call("mark_as_failure", {
      id,
      type: "ValueError",
      args: ["bad", 42],
      traceback: "Traceback: there",
    });
    const meta = await read(id);
    expect(meta).toMatchObject({ status: "FAILURE", traceback: "Traceback: there" });
    expect(decodeException(meta?.result)).toEqual({
      excType: "ValueError",
      excMessage: ["bad", 42],
      excModule: "builtins",
    });
    await python.call("fail_with", { id: own, qualname: "OrderError", args: ["late"] });
    const exception = decodeException((await read(own))?.result);
    expect(new RemoteTaskError("task-failed", own, exception)).toMatchObject({
      excType: "OrderError",
      excMessage: ["late"],
      excModule: "orders.errors",
    });
    await backend.forget([id, own]);
  });

  test("a wait of ours is woken by Python's message at once", async () => {
    const [id, other] = [crypto.randomUUID(), crypto.randomUUID()];
    const patient = redisBackend(urls.backend, { pollInterval: "1h" });
    const states: string[] = [];
    const watching = (async () => {
      for await (const { status } of patient.watch([id, other])) {
        states.push(status);
        if (status === "SUCCESS") return;
      }
    })();
    await until(async () => Number((await redis.pubsub("NUMSUB", `celery-task-meta-${id}`))[1]) === 1, {
      what: "our subscription",
    });
    await python.call("store_result", { id, result: { pid: 1 }, state: "STARTED" });
    await python.call("store_result", { id, result: 5, state: "PROGRESS" });
    await python.call("mark_as_done", { id, result: 5 });
    await watching;
    expect(states).toEqual(["STARTED", "PROGRESS", "SUCCESS"]);
    await backend.forget([id]);
    await patient.close();
  });

  test("neither side overwrites the other one's SUCCESS", async () => {
    const [mine, theirs] = [crypto.randomUUID(), crypto.randomUUID()];
    await store(mine, "SUCCESS", "mine");
    await python.call("store_result", { id: mine, result: "theirs", state: "RETRY" });
    expect(await read(mine)).toMatchObject({ status: "SUCCESS", result: "mine" });
    await python.call("mark_as_done", { id: theirs, result: "theirs" });
    expect(await store(theirs, "FAILURE", null)).toBe("kept");
    expect(await python.call("get", { id: theirs })).toMatchObject({ value: "theirs" });
    await backend.forget([mine, theirs]);
  });
});

describe("a Python get() that waits", () => {
  test("is woken by our message, not by its timeout: Celery reads once and then relies on it", async () => {
    for (const status of ["SUCCESS", "FAILURE"]) {
      const id = crypto.randomUUID();
      // Had Python to ask again, it would do so after this interval.
      const waiting = python.call<Got>("get", { id, timeout: 20, interval: 15 });
      const outcome = waiting.then(
        () => "SUCCESS",
        (error: Error) => error.name === "PythonError" ? "FAILURE" : error,
      );
      await until(async () => Number((await redis.pubsub("NUMSUB", `celery-task-meta-${id}`))[1]) === 1, {
        what: "Python's subscription",
      });
      // STARTED first: a state that is not final must not end the wait.
      await store(id, "STARTED", { pid: 1, hostname: "worker@here" });
      const begun = performance.now();
      await store(
        id,
        status,
        status === "SUCCESS" ? 149 : { exc_type: "ValueError", exc_message: ["no"], exc_module: "builtins" },
      );
      expect(await outcome).toBe(status);
      expect(performance.now() - begun).toBeLessThan(5000);
      await backend.forget([id]);
    }
  });

  test("with a global_keyprefix both sides name the same keys (Celery 5.3 and later; 5.2 has none)", async () => {
    const prefixed = redisBackend(urls.backend, { globalKeyprefix: "interop" });
    await using prefixing = await startCeleryClient({
      ...urls,
      conf: { result_backend_transport_options: { global_keyprefix: "interop" } },
    });
    const [major, minor] = (prefixing.facts["celery"] ?? "").split(".").map(Number);
    const knows = (major ?? 0) > 5 || (minor ?? 0) >= 3;
    const id = crypto.randomUUID();
    await prefixing.call("mark_as_done", { id, result: 1 });
    const key = knows ? `interop_celery-task-meta-${id}` : `celery-task-meta-${id}`;
    expect(await redis.exists(key)).toBe(1);
    expect((await prefixed.load([id]))[0]?.status).toBe(knows ? "SUCCESS" : undefined);
    await redis.del(key);
    await prefixed.close();
  });
});
