/** Each sample of docs/routing.md and docs/middleware.md is run, and prints what its comments say. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ROOT } from "./copy.ts";
import { samples } from "./samples.ts";

const SAMPLES = ["docs/routing.md", "docs/middleware.md"].flatMap((document) =>
  samples(document, readFileSync(ROOT + document, "utf8")).filter(({ language }) => language === "ts")
);

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "celeriac-app-"));
  symlinkSync(`${ROOT}node_modules`, join(folder, "node_modules"));
  for (const { name = "", code } of SAMPLES) writeFileSync(join(folder, name), code);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the comments say: behind a `console.log`, or on lines of their own where one line prints several. */
function printed(code: string): readonly string[] {
  return [...code.matchAll(/^(?:.*console\.log\(.*\);|) ?\/\/ (.*)$/gm)].map(([, said = ""]) => said)
    .filter((said) => !/^[\w-]+\.ts$/.test(said));
}

test("there are samples, and all say what they print", () => {
  expect(SAMPLES.map(({ name }) => name)).toEqual(["routes.ts", "queues.ts", "hooks.ts", "trace.ts"]);
  for (const { code } of SAMPLES) expect(printed(code)).not.toEqual([]);
});

test.each(SAMPLES)("$place runs, and prints what it says", async ({ name = "", code }) => {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...values: unknown[]) => {
    lines.push(values.join(" "));
  });
  try {
    await import(join(folder, name));
  } finally {
    log.mockRestore();
  }
  expect(lines).toEqual(printed(code));
}, 60_000);
