import { expect, test } from "vitest";
import { anonNodename, nodename } from "../../src/protocol/node.ts";

test("a sender is named by its process", () => {
  expect(anonNodename({ pid: 7, hostname: "box" })).toBe("gen7@box");
});

test.each([
  [undefined, "celery@box.lan"],
  ["worker@%h", "worker@box.lan"],
  ["w1@%n", "w1@box"],
  ["%n.%d@%h", "box.lan@box.lan"],
  ["w@other", "w@other"],
  ["@x", "celery@x"],
  ["w@", "w@box.lan"],
])("the worker of %j is %s", (template, name) => {
  expect(nodename(template, "box.lan")).toBe(name);
});
