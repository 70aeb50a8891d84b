import { existsSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { IN_WORKERD, LONG, ONCE, OUT_OF_WORKERD } from "../rooms.mjs";
import { ROOT } from "./copy.ts";

const files = readdirSync(`${ROOT}test`, { recursive: true, encoding: "utf8" })
  .map((path) => `test/${path.replaceAll("\\", "/")}`)
  .filter((path) => path.endsWith(".test.ts"));

const holds = (path: string) => (file: string): boolean => file === path || file.startsWith(`${path}/`);
const reasons = Object.entries(OUT_OF_WORKERD);

test("each test file runs inside workerd, or the list says why it does not", () => {
  const undecided = files.filter((file) =>
    !IN_WORKERD.some((path) => holds(path)(file)) && !reasons.some(([path]) => holds(path)(file))
  );
  expect(undecided).toEqual([]);
});

test("each entry of the lists holds a test file, and each exception has a reason", () => {
  const named = [...ONCE, ...LONG, ...IN_WORKERD, ...Object.keys(OUT_OF_WORKERD)];
  expect(named.filter((path) => !existsSync(ROOT + path) || !files.some(holds(path)))).toEqual([]);
  expect(reasons.filter(([, reason]) => reason.length < 10)).toEqual([]);
});
