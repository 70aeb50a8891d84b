import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Running } from "../../src/app/running.ts";
import { PyDatetime, PyDecimal, PyUuid } from "../../src/protocol/types.ts";
import { until } from "../support/wait.ts";
import { type Bench, intercept, setup } from "./setup.ts";

interface Vectors {
  readonly results: Readonly<
    Record<string, { readonly published: readonly { readonly channel: string; readonly data: string }[] }>
  >;
}

const vectors = JSON.parse(
  readFileSync(new URL("../vectors/worker.celery-5.6.2.json", import.meta.url), "utf8"),
) as Vectors;

const META = "celery-task-meta-";

/** What Celery published for the case, in order, without other cases' tasks that ran in the same worker. */
function published(name: string): string[] {
  const all = vectors.results[name]?.published ?? [];
  return all.map(({ data }) => data)
    .filter((data) => !data.includes("t.integration.tasks") && !/"children": null/.test(data))
    .map(neutral);
}

/** Times, stacks and fresh ids vary; all else is to be equal, byte for byte. */
function neutral(text: string): string {
  const ids: string[] = [];
  return text
    .replace(/"date_done": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00"/, '"date_done": "T"')
    .replace(/"traceback": "(?:[^"\\]|\\.)*"/, '"traceback": "S"')
    .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
      if (id.startsWith("00000000-")) return id;
      if (!ids.includes(id)) ids.push(id);
      return `id${ids.indexOf(id)}`;
    });
}

const id = (last: number): string => `00000000-0000-4000-8000-0000000000${String(last).padStart(2, "0")}`;

function raising(excType: string, excMessage: readonly unknown[], excModule: string): () => never {
  return () => {
    throw Object.assign(new Error(excType), { excType, excMessage, excModule });
  };
}

function declare({ app }: Bench): void {
  app.task("tasks.add", (x: number, y: number) => x + y);
  app.task("tasks.mul", (x: number, y: number) => x * y);
  app.task("tasks.none", () => {});
  app.task("tasks.types", () => [
    new PyDatetime("2024-05-28T01:02:03.456789"),
    new PyDecimal("1.10"),
    new PyUuid("12345678123456781234567812345678"),
    new Uint8Array([0, 255]),
    [1, 2],
    null,
  ]);
  app.task("tasks.value_error", raising("ValueError", ["bad value", 42], "builtins"));
  app.task("tasks.custom_error", raising("Boom", ["custom", { k: 1 }], "wtasks"));
  app.task("tasks.key_error", raising("KeyError", ["missing"], "builtins"));
  app.task("tasks.progress", { bind: true }, async (task: Running) => {
    await task.updateState("PROGRESS", { done: 1, total: 2 });
    return "done";
  });
  app.task("tasks.ignored", { ignoreResult: true }, () => "unseen");
  app.task("tasks.spawn", async () => {
    await app.sendTask("tasks.add", { args: [1, 2] });
    return "spawned";
  });
}

function signature(task: string, args: unknown[], taskId: string) {
  return { task, args, kwargs: {}, options: { task_id: taskId }, subtask_type: null, immutable: false };
}

type Body = readonly [args: unknown[], kwargs: Record<string, unknown>, embed: Record<string, unknown>];

const PLAIN: Body = [[], {}, {}];

describe("what is stored is what Celery 5.6.2 stores", () => {
  test.each<[name: string, task: string, taskId: string, body: Body, headers: Record<string, unknown>]>([
    ["success", "tasks.add", id(1), [[2, 3], {}, {}], {}],
    ["none", "tasks.none", id(2), PLAIN, {}],
    ["types", "tasks.types", id(3), PLAIN, {}],
    ["failure_builtin", "tasks.value_error", id(4), PLAIN, {}],
    ["failure_custom", "tasks.custom_error", id(5), PLAIN, {}],
    ["failure_key_error", "tasks.key_error", id(6), PLAIN, {}],
    ["progress", "tasks.progress", id(9), PLAIN, {}],
    ["ignore_result", "tasks.ignored", id(10), PLAIN, {}],
    ["unknown_task", "tasks.not_registered", id(15), PLAIN, {}],
    ["expired", "tasks.add", id(16), [[1, 1], {}, {}], { expires: "2020-01-01T00:00:00+00:00" }],
    ["countdown_2s", "tasks.add", id(19), [[1, 1], {}, {}], { eta: "2020-01-01T00:00:00+00:00" }],
    ["chain", "tasks.add", id(20), [[1, 1], {}, { chain: [signature("tasks.add", [3], id(21))] }], {}],
    ["link", "tasks.add", id(22), [[2, 3], {}, { callbacks: [signature("tasks.add", [10], id(23))] }], {}],
    ["parent_child", "tasks.spawn", id(24), PLAIN, {}],
  ])("%s", async (name, task, taskId, body, headers) => {
    const stored: string[] = [];
    await using bench = setup({
      wrapBackend: (backend) =>
        intercept(backend, {
          store(record, options) {
            stored.push(record.text);
            return backend.store(record, options);
          },
        }),
    });
    declare(bench);
    await bench.pushTask({ task, id: taskId, ...headers }, body);
    const { worker, done } = bench.work({ concurrency: 1 });
    const expected = published(name);
    await bench.says(/succeeded|raised|Discarding|unregistered/);
    await until(() => stored.length >= expected.length, { what: `${expected.length} results` });
    await worker.stop();
    await done;
    // One worker runs them one after another; Celery's ran two at a time, so that their order is its own.
    expect(stored.map(neutral).sort()).toEqual(expected.sort());
  });

  test("a failure's traceback is the stack, as text", async () => {
    await using bench = setup();
    declare(bench);
    await bench.pushTask({ task: "tasks.value_error" });
    bench.work();
    const traceback = String((await bench.sees("id-1", "FAILURE"))["traceback"]);
    expect(traceback).toContain("records.test.ts");
  });

  test("the cases were there", () => {
    expect(published("chain").length).toBe(2);
    expect(published("ignore_result")).toEqual([]);
    expect(Object.keys(vectors.results).length).toBeGreaterThan(20);
    expect(vectors.results["success"]?.published[0]?.channel.startsWith(META)).toBe(true);
  });
});
