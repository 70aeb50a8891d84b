import { describe, expect, test } from "vitest";
import { keysUnder } from "../../adapters/redis/keys.ts";

describe("keys", () => {
  test("a result has Celery's key, and its channel leads back to the id", () => {
    const keys = keysUnder();
    expect(keys.result("a-b")).toBe("celery-task-meta-a-b");
    expect(keys.taskId("celery-task-meta-a-b")).toBe("a-b");
    expect(keys.taskId("celeryev/task.sent")).toBeUndefined();
  });

  test.each([
    ["", "celery-task-meta-1"],
    ["app", "app_celery-task-meta-1"],
    ["app:", "app:celery-task-meta-1"],
    ["app_", "app_celery-task-meta-1"],
    ["app-", "app-celery-task-meta-1"],
    ["app.", "app.celery-task-meta-1"],
    ["app/", "app/_celery-task-meta-1"],
  ])("global_keyprefix %j makes %j, as in Celery 5.6", (prefix, key) => {
    expect(keysUnder(prefix).result("1")).toBe(key);
    expect(keysUnder(prefix).taskId(key)).toBe("1");
  });

  test("facts have a prefix of our own, under the global one", () => {
    expect(keysUnder().fact("revoked.1")).toBe("celeriac:fact:revoked.1");
    expect(keysUnder("app").fact("revoked.1")).toBe("app_celeriac:fact:revoked.1");
  });
});
