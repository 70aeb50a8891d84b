import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT } from "./copy.ts";
import { TEXT_RULES, textFaults } from "./text.ts";
import { treeFiles } from "./tree.ts";

test("no source breaks a rule that lint cannot see", () => {
  const seen = treeFiles().filter((file) => TEXT_RULES.some((rule) => rule.files.test(file)));
  expect(seen.length).toBeGreaterThan(40);
  const faults = seen.flatMap((file) =>
    textFaults(file, readFileSync(ROOT + file, "utf8")).map((fault) => `${file}: ${fault}`)
  );
  expect(faults).toEqual([]);
});

test.each([
  ["src/app/a.ts", "const t = new Date();", "the time of day from new Date()"],
  ["src/app/a.ts", "const t = Date();", "the time of day from Date()"],
  ["src/app/a.ts", "globalThis.setTimeout(f, 1);", "a global by globalThis"],
  ["adapters/amqp/a.ts", "globalThis['setTimeout'](f, 1);", "a global by globalThis"],
  ["adapters/amqp/a.ts", "const s = AbortSignal.timeout(1);", "a timer of AbortSignal"],
  ["adapters/amqp/a.ts", "const { now } = Date;", "a method taken off its object"],
  ["src/app/a.ts", "// eslint-disable-next-line", "a switched-off check"],
  ["src/app/a.ts", "// @ts-expect-error", "a switched-off check"],
  ["mod.ts", "// TODO later", "an unfinished thought"],
  ["adapters/redis/a.ts", 'type A = typeof import("../amqp/tcp.ts");', "a type by import() of a path"],
  ["adapters/redis/a.ts", 'type A = import("../amqp/tcp.ts").Amqp;', "a type by import() of a path"],
  ["adapters/redis/a.ts", "const fs = require('node:fs');", "require"],
  ["test/app/a.test.ts", "test.skip('x', f);", "a test that is left out"],
  ["test/app/a.test.ts", "test('x', { retry: 3 }, f);", "a retried test"],
])("in %s the text %s is refused", (file, text, fault) => {
  expect(textFaults(file, text)).toContain(fault);
});

test("dates from a value, words in names and the port itself pass", () => {
  expect(
    textFaults("src/app/a.ts", "const t = new Date(ms); isDate(t); t instanceof Date; PyDate(1); x.Date(2);"),
  ).toEqual([]);
  expect(textFaults("src/lib/platform.ts", "const ambient = globalThis; new Date();")).toEqual([]);
});
