/** The suites inside edge-runtime's strict VM, in a bundle: no process, no Buffer, no navigator, no AbortSignal.any, no eval. */
import { EdgeVM } from "@edge-runtime/vm";
import { beforeAll, expect, test } from "vitest";
import { OUT_OF_WORKERD } from "../rooms.mjs";
import { bundleTests } from "../support/bare/bundle.ts";
import { testFiles } from "../support/test-files.ts";
import { NO_COMPRESSION, NO_CONTEXT, ONE_FILE, TWO_REALMS } from "../support/bare/known.ts";
import type { Report } from "../support/bare/vitest.ts";

const ROOMS = [
  "test/lib",
  "test/protocol",
  "test/canvas",
  "test/result",
  "test/app",
  "test/producer",
  "test/contract/memory.test.ts",
];
const files = testFiles(ROOMS, Object.keys(OUT_OF_WORKERD));
const known = new Set(
  [...NO_CONTEXT, ...ONE_FILE, ...NO_COMPRESSION, ...TWO_REALMS]
    .filter((name) => files.some((file) => name.startsWith(`${file} > `))),
);

let vm: EdgeVM;
let reports: readonly Report[] = [];

beforeAll(async () => {
  vm = new EdgeVM({ initialCode: await bundleTests(files, "iife") });
  const { run } = vm.context as unknown as { run(provided: object): Promise<Report[]> };
  reports = await run({ runtime: "edge" });
  const passed = reports.reduce((sum, report) => sum + report.passed, 0);
  console.log(`edge-runtime: ${passed} tests of ${reports.length} files pass`);
}, 180_000);

test("this is the strict VM", () => {
  const names = [
    "process",
    "Buffer",
    "navigator",
    "AsyncLocalStorage",
    "AbortSignal.any",
    "CompressionStream",
  ];
  expect(names.map((name) => vm.evaluate(`typeof ${name}`))).toEqual(names.map(() => "undefined"));
  expect(() => vm.evaluate("eval('1')")).toThrow(/disallowed/);
});

test.each(files)("%s", (file) => {
  const report = reports.find((one) => one.file === file);
  expect(report?.passed).toBeGreaterThan(0);
  expect(report?.failed.filter(({ name }) => !known.has(name))).toEqual([]);
});

test("what is known not to hold does not", () => {
  const failed = new Set(reports.flatMap((report) => report.failed.map(({ name }) => name)));
  expect([...known].filter((name) => !failed.has(name))).toEqual([]);
});
