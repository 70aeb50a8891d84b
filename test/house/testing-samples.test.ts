/** Each sample of docs/testing.md is run, in order, and prints what its comments say. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ROOT } from "./copy.ts";
import { samples } from "./samples.ts";

const SAMPLES = samples("docs/testing.md", readFileSync(`${ROOT}docs/testing.md`, "utf8")).map((
  sample,
  index,
) => ({ ...sample, file: sample.name ?? `sample${index}.ts` }));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "celeriac-testing-"));
  symlinkSync(`${ROOT}node_modules`, join(folder, "node_modules"));
  for (const { file, code } of SAMPLES) writeFileSync(join(folder, file), code);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("all samples are TypeScript, and most of them say what they print", () => {
  expect(SAMPLES.length).toBeGreaterThan(8);
  expect(SAMPLES.filter(({ language }) => language !== "ts")).toEqual([]);
  expect(SAMPLES.filter(({ code }) => printed(code).length > 0).length).toBeGreaterThan(5);
});

/** What the comments behind `console.log(…);` say. */
function printed(code: string): readonly string[] {
  return [...code.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)].map(([, said = ""]) => said);
}

test.each(SAMPLES)("$place runs, and prints what it says", async ({ file, code }) => {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...values: unknown[]) => {
    lines.push(values.join(" "));
  });
  try {
    await import(join(folder, file));
  } finally {
    log.mockRestore();
  }
  expect(lines).toEqual(printed(code));
}, 60_000);
