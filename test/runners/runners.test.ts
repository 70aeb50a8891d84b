/** The suites by the runtimes' own test runners: the same tests, each with its own way to declare and to judge. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { memoryBackend, memoryBroker } from "../../adapters/memory/mod.ts";
import { exerciseBackend, exerciseBroker } from "../../src/testing/mod.ts";
import { samples } from "../house/samples.ts";
import { ROOT } from "../support/celeriac.ts";
import { startChild } from "../support/child.ts";

const BIN = `${ROOT}node_modules/.bin/`;

/** What the fixtures declare: they name the same subjects. */
function declared(): number {
  let count = 0;
  const runner = { test: () => count++ };
  const link = { cut() {}, freeze() {}, thaw() {} };
  exerciseBroker({ make: () => memoryBroker(), features: memoryBroker().features, link }, runner);
  const { features } = memoryBackend();
  exerciseBackend({ make: () => memoryBackend(), features, facts: true }, runner);
  return count;
}

const RUNNERS:
  readonly (readonly [string, readonly [string, ...string[]], passed: RegExp, failed: RegExp])[] = [
    [
      "node:test",
      [process.execPath, "--test", "--test-reporter=tap", "node.test.mjs"],
      /^# pass (\d+)$/m,
      /^# fail (\d+)$/m,
    ],
    [
      "bun:test",
      [`${BIN}bun`, "test", "--timeout", "60000", "./bun.test.mjs"],
      /^ *(\d+) pass$/m,
      /^ *(\d+) fail$/m,
    ],
    // The package's declarations name its sources, which a folder with the package would have.
    [
      "Deno.test",
      [`${BIN}deno`, "test", "--no-check", "-A", "deno.test.mjs"],
      /(\d+) passed/,
      /(\d+) failed/,
    ],
  ];

test.concurrent.each(RUNNERS)(
  "%s runs the whole contract of the memory pair, and sees a promise that is broken",
  async (_name, [program, ...args], passed, failed) => {
    const cwd = `${ROOT}test/runners/fixtures`;
    const run = async (env: Record<string, string>): Promise<string> => {
      await using child = startChild(program, args, { cwd, env: { NO_COLOR: "1", ...env } });
      await child.end;
      return child.log;
    };
    const count = (pattern: RegExp, log: string): number => Number(pattern.exec(log)?.[1] ?? NaN);
    const green = await run({});
    expect([count(passed, green), count(failed, green)], green.slice(-3000)).toEqual([declared(), 0]);
    const red = await run({ RED: "1" });
    expect([count(failed, red)], red.slice(-3000)).toEqual([1]);
    expect(red).toContain("the feature record: at push: expected false, got true");
  },
  120_000,
);

describe("the samples for authors of adapters", () => {
  const page = samples("docs/adapters.md", readFileSync(`${ROOT}docs/adapters.md`, "utf8"))
    .filter(({ language }) => language === "ts");

  test.each([["broker", "broker.test.ts"], ["backend", "backend.test.ts"]])(
    "the comment of the suite for a %s shows the same",
    (part, name) => {
      const source = readFileSync(`${ROOT}src/testing/contract/${part}.ts`, "utf8");
      const [shown] = samples(part, source.replaceAll(/^ \* ?/gm, ""));
      const code = page.find((sample) => sample.name === name)?.code.replace(/^.*\n/, "");
      expect(shown?.code).toBe(code);
    },
  );

  test("run, and every test in them passes", async () => {
    const folder = mkdtempSync(join(tmpdir(), "celeriac-adapters-"));
    try {
      symlinkSync(`${ROOT}node_modules`, join(folder, "node_modules"));
      writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
      for (const { name = "", code } of page) writeFileSync(join(folder, name), code);
      await using child = startChild(
        `${BIN}deno`,
        ["test", "--no-check", "-A", "--node-modules-dir=manual"],
        {
          cwd: folder,
          env: { NO_COLOR: "1" },
        },
      );
      await child.end;
      const count = (pattern: RegExp): number => Number(pattern.exec(child.log)?.[1] ?? NaN);
      expect([count(/(\d+) passed/), count(/(\d+) failed/)], child.log.slice(-3000)).toEqual([declared(), 0]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);
});
