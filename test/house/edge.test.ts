import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ONCE } from "../rooms.mjs";
import { ROOT } from "./copy.ts";

/** How the tests call the runtime of a row. */
const RUNTIMES: Readonly<Record<string, RegExp>> = {
  "Node 20": /\bNode\b/,
  Bun: /\bBun\b/,
  Deno: /\bDeno\b/,
  workerd: /\bworkerd\b/,
  "edge-runtime": /\bedge-runtime\b/,
};

/** What a test of each column does. */
const COLUMNS: readonly RegExp[] = [
  /adapters\/amqp\/tcp\.ts"/,
  /adapters\/amqp\/websocket\.ts"|\bCONTRACTS\b/,
  /adapters\/redis\/http\.ts"|\bWAYS\b/,
  /adapters\/redis\/http\.ts"|\bCONTRACTS\b/,
  /adapters\/redis\/tcp\.ts"/,
  /startCeleriac\(/,
];

/** Runtimes that run every file of `test/` but the rooms that run once. */
const EVERYWHERE = ["Node 20", "Bun", "Deno"];

const [, table = ""] = /<!-- matrix -->\n\n((?:\|.*\n)+)/.exec(readFileSync(`${ROOT}docs/edge.md`, "utf8")) ??
  [];
const rows = table.trim().split("\n").slice(2).map((row) =>
  row.split("|").slice(1, -1).map((cell) => cell.trim())
);

test("each row of the matrix is a runtime that the tests know", () => {
  expect(rows.map(([runtime]) => runtime)).toEqual(Object.keys(RUNTIMES));
});

test.each(
  rows.flatMap(([runtime = "", ...cells]) =>
    cells.map((cell, at) => [runtime, at, cell] as const).filter(([, , cell]) => cell !== "–")
  ),
)("%s: tick %i is a test of that which runs there", (runtime, at, cell) => {
  const [, file = ""] = /\[✓\]\(\.\.\/(test\/\S+\.test\.ts)\)/.exec(cell) ?? [];
  expect(file, cell).not.toBe("");
  const code = readFileSync(ROOT + file, "utf8");
  expect(code).toMatch(COLUMNS[at] ?? /^$/);
  const once = ONCE.some((room) => file === room || file.startsWith(`${room}/`));
  if (EVERYWHERE.includes(runtime) && !once) return;
  // It runs on Node and drives the other runtimes: then it names them.
  expect(once).toBe(true);
  expect(code).toMatch(RUNTIMES[runtime] ?? /^$/);
});
