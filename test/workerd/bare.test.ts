/** The library needs no compatibility flag: the suites in a worker that has none, so neither process nor Buffer nor node:async_hooks. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { IN_WORKERD, OUT_OF_WORKERD } from "../rooms.mjs";
import { bundleTests } from "../support/bare/bundle.ts";
import { NO_CONTEXT, ONE_FILE } from "../support/bare/known.ts";
import type { Report } from "../support/bare/vitest.ts";
import { testFiles } from "../support/test-files.ts";
import { type Isolate, run } from "./isolate.ts";

/** Beyond what needs more than `vitest` in workerd gives. */
const OUT = {
  ...OUT_OF_WORKERD,
  "test/worker/trouble.test.ts": "listens to Node's unhandledRejection",
  "test/worker/hooks-context.test.ts": "an AsyncLocalStorage of its own",
};
const files = testFiles(IN_WORKERD, Object.keys(OUT));
const known: ReadonlySet<string> = new Set([...NO_CONTEXT, ...ONE_FILE]);

const WORKER = `import { run } from "./tests.mjs";
const here = () => ({
  agent: navigator.userAgent,
  process: typeof process,
  buffer: typeof Buffer,
  hooks: import("node:async_hooks").then(() => "there", () => "missing"),
});
export default {
  async fetch(request) {
    if (new URL(request.url).pathname === "/here") return Response.json({ ...here(), hooks: await here().hooks });
    return Response.json(await run({ runtime: "workerd" }));
  },
};`;

let worker: Isolate;
let reports: readonly Report[] = [];

beforeAll(async () => {
  worker = await run({ "worker.mjs": WORKER, "tests.mjs": await bundleTests(files, "esm") });
  reports = await (await worker.fetch("/suites")).json() as Report[];
  const passed = reports.reduce((sum, report) => sum + report.passed, 0);
  console.log(`workerd without any flag: ${passed} tests of ${reports.length} files pass`);
}, 400_000);

afterAll(async () => {
  await worker[Symbol.asyncDispose]();
});

test("this is workerd, and has nothing of Node", async () => {
  const here = { agent: "Cloudflare-Workers", process: "undefined", buffer: "undefined", hooks: "missing" };
  expect(await worker.ask("/here")).toEqual(here);
});

test.each(files)("%s", (file) => {
  const report = reports.find((one) => one.file === file);
  expect(report?.passed).toBeGreaterThan(0);
  expect(report?.failed.filter(({ name }) => !known.has(name))).toEqual([]);
});

test("what is known not to hold does not", () => {
  const failed = reports.flatMap((report) => report.failed.map(({ name }) => name));
  expect([...known].filter((name) => !failed.includes(name))).toEqual([]);
});
