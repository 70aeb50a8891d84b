/** What docs/testing.md and docs/guarantees.md say is held by tests: those tests are there, and each row has one. */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT } from "./copy.ts";

interface Held {
  readonly title: string;
  readonly file: string;
}

const text = (file: string): string => readFileSync(`${ROOT}docs/${file}`, "utf8");

/** The rows of the table between two marks, as cells. */
function rows(document: string, mark: string): readonly (readonly string[])[] {
  const [, table = ""] = document.split(new RegExp(`<!-- /?${mark} -->`));
  return table.trim().split("\n").slice(2).map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim())
  );
}

/** Links whose text is a test's title: those to a file of tests, or of a contract suite. */
function heldBy(document: string): readonly Held[] {
  return [...document.matchAll(/\[([^\]]+)\]\(\.\.\/((?:test|src\/testing\/contract)\/\S+?\.ts)\)/g)].map((
    [, title = "", file = ""],
  ) => ({ title, file }));
}

/** What a suite, or `test.each`, puts into a title. */
const FILLED = "(?:\\$\\{[^}]*\\}|%[a-z])";

/** Whether the file declares a test of that title; "…" stands for what the suite puts in. */
function declares({ title, file }: Held): boolean {
  if (!existsSync(ROOT + file)) return false;
  const parts = title.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`["\`]${parts.join(FILLED)}["\`],`).test(readFileSync(ROOT + file, "utf8"));
}

const TESTING = text("testing.md");
const GUARANTEES = text("guarantees.md");

test("each test that the documents name is declared in its file, and another title is not", () => {
  const named = [...heldBy(TESTING), ...heldBy(GUARANTEES)];
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((held) => !declares(held))).toEqual([]);
  for (const { title, file } of named) expect(declares({ title: `${title}!`, file })).toBe(false);
});

test("each property of order and acknowledgement names the test that holds it", () => {
  const properties = rows(TESTING, "properties");
  expect(properties.length).toBeGreaterThan(15);
  expect(properties.filter(([, held = ""]) => heldBy(held).length === 0)).toEqual([]);
});

test("each row of the guarantees names the test that holds it", () => {
  const guarantees = rows(GUARANTEES, "guarantees");
  expect(guarantees.length).toBeGreaterThan(80);
  expect(guarantees.filter((cells) => cells.length !== 5 || heldBy(cells[4] ?? "").length === 0)).toEqual([]);
  const brokers = new Set(guarantees.flatMap((cells) => cells[2]?.split(", ") ?? []));
  expect([...brokers].sort()).toEqual(["HTTP", "RabbitMQ", "Redis", "all", "memory"]);
  expect(new Set(guarantees.map(([, acks]) => acks))).toEqual(new Set(["any", "early", "late"]));
});

test("each case of the guarantees is said of RabbitMQ, of Redis and in memory, acked early and late", () => {
  const said = new Set<string>();
  const cases = new Set<string>();
  let what = "";
  for (const [when = "", acks = "", brokers = ""] of rows(GUARANTEES, "guarantees")) {
    if (when !== "") what = when;
    cases.add(what);
    for (const broker of brokers === "all" ? ["RabbitMQ", "Redis", "memory"] : brokers.split(", ")) {
      for (const one of acks === "any" ? ["early", "late"] : [acks]) said.add(`${what}: ${broker}, ${one}`);
    }
  }
  const missing = [...cases].flatMap((one) =>
    ["RabbitMQ", "Redis", "memory"].flatMap((broker) =>
      ["early", "late"].map((acks) => `${one}: ${broker}, ${acks}`)
    )
  ).filter((cell) => !said.has(cell));
  expect(missing).toEqual([]);
});
