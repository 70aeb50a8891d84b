import { expect, test } from "vitest";
import { startScript } from "../support/celeriac.ts";

test("the demo publishes 100 tasks over HTTP, runs them four at a time and ends by itself with exit 0", async () => {
  await using demo = startScript(["scripts/ts.mjs", "examples/demo.ts"]);
  expect(await demo.end, demo.log).toBe("exit 0");
  expect(demo.log.match(/INFO\/MainProcess\] Task tasks\.sum\.consume_task\[[0-9a-f-]{36}\] received/g))
    .toHaveLength(100);
  expect(demo.log.match(/Task tasks\.sum\.consume_task\[[0-9a-f-]{36}\] succeeded in [0-9.e-]+s: \d+/g))
    .toHaveLength(100);
  expect(demo.log).toMatch(/progress: 100 of 100/);
  expect(demo.log).toMatch(/100 published, 100 right, 0 wrong in [\d.]+ s: \d+ tasks\/s\s*$/);
});
