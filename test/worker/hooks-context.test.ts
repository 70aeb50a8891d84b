import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import { setup } from "./setup.ts";

test("middleware carries a context from the sender into the run, and what the run sends is its child", async () => {
  await using bench = setup();
  const trace = new AsyncLocalStorage<string>();
  const child = bench.app.task("child", () => trace.getStore());
  bench.app.task("parent", async () => (await child.delay()).id);
  bench.app.use({
    publish(envelope, next) {
      const current = trace.getStore();
      if (current !== undefined) envelope.headers["trace"] = `${current}>${envelope.name}`;
      return next();
    },
    run: (task, next) => trace.run(String(task.headers["trace"] ?? "none"), next),
  });
  bench.work();
  const result = await trace.run("request", () => bench.app.sendTask<string>("parent"));
  const childId = await result.get({ timeout: 5 });
  expect(await bench.app.result(childId).get({ timeout: 5 })).toBe("request>parent>child");
  expect(await bench.sees(result.id, "SUCCESS")).toMatchObject({ children: [[[childId, null], null]] });
});
