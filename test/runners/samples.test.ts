/** The samples of examples/testing under the runners that they are written for, and against those runners' own types. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runSample, SAMPLES } from "../support/runner.ts";
import { ROOT } from "../support/celeriac.ts";

const BIN = `${ROOT}node_modules/.bin/`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "celeriac-runners-"));
  symlinkSync(`${ROOT}node_modules`, join(folder, "node_modules"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("node:test runs its sample: 3 tests pass", async () => {
  const flags = ["--import", "jiti/register", "--test", "--test-reporter=tap"];
  const said = await runSample(process.execPath, [...flags, "node.test.ts"]);
  expect(said).toMatch(/^# pass 3$/m);
  expect(said).toMatch(/^# fail 0$/m);
}, 120_000);

test(
  "under node:test a result that is awaited while time stands still is told, and the file ends",
  async () => {
    const file = join(folder, "still.mjs");
    writeFileSync(
      file,
      `import { rejects } from "node:assert/strict";
import { test } from "node:test";
import { Celery } from "celeriac";
import { createHarness } from "celeriac/testing";
test("still", async () => {
  const app = new Celery("shop");
  const later = app.task("shop.later", () => 1);
  const harness = await createHarness(app, { patience: "200ms" });
  const result = await later.applyAsync([], { countdown: "1h" });
  await rejects(result.get(), { code: "harness-still" });
  await harness[Symbol.asyncDispose]();
});
`,
    );
    const said = await runSample(process.execPath, ["--test", "--test-reporter=tap", file]);
    expect(said).toMatch(/^# pass 1$/m);
  },
  120_000,
);

test("Bun runs its sample: 3 tests pass", async () => {
  const said = await runSample(`${BIN}bun`, ["test", "./bun.test.ts"]);
  expect(said).toMatch(/^ *3 pass\n *0 fail$/m);
}, 120_000);

test("Deno checks the types of its sample and runs it: 3 tests pass", async () => {
  // Deno reads the source, as from JSR.
  const { exports } = await import(`${ROOT}deno.json`) as { exports: Readonly<Record<string, string>> };
  const imports = Object.fromEntries(
    Object.entries(exports).map(([name, file]) => [`celeriac${name.slice(1)}`, ROOT + file.slice(2)]),
  );
  const map = join(folder, "imports.json");
  writeFileSync(map, JSON.stringify({ imports }));
  const said = await runSample(`${BIN}deno`, ["test", "-A", `--import-map=${map}`, "deno.test.ts"]);
  expect(said).toMatch(/^Check .*deno\.test\.ts$/m);
  expect(said).toMatch(/^ok \| 3 passed \| 0 failed/m);
}, 120_000);

test("vitest runs its sample: 3 tests pass", async () => {
  const said = await runSample(process.execPath, [`${ROOT}node_modules/vitest/vitest.mjs`, "run"]);
  expect(said).toMatch(/^ *Tests +3 passed \(3\)$/m);
}, 120_000);

test(
  "Bun's own types take the sample and the matchers by their one line, and know the arguments of a task",
  async () => {
    const code = `import { expect } from "bun:test";
import { createHarness, type HarnessMatchers } from "celeriac/testing";
import "${SAMPLES}bun.test.ts";
import { app, charge } from "${SAMPLES}tasks.ts";
declare module "bun:test" {
  interface Matchers<T> extends HarnessMatchers {}
}
const harness = await createHarness(app);
expect(harness).toHaveEnqueued(charge, { args: [1, 2] });
expect(harness).not.toHaveSucceeded(charge);
expect(harness).toHaveEnqueued(charge, { args: [1, "2"] });
`;
    writeFileSync(join(folder, "matchers.ts"), code);
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const config = join(folder, "tsconfig.json");
    const compilerOptions = {
      types: ["bun-types"],
      typeRoots: [`${ROOT}node_modules`],
      rootDir: "/",
      skipLibCheck: true,
    };
    const project = {
      extends: `${ROOT}test/tsconfig.json`,
      compilerOptions,
      include: ["matchers.ts"],
      exclude: [],
    };
    writeFileSync(config, JSON.stringify(project));
    const tsc = [`${ROOT}node_modules/typescript/bin/tsc`, "-p", config, "--pretty", "false"];
    const { stdout } = await promisify(execFile)(process.execPath, tsc, { cwd: folder }).catch((
      error: { stdout: string },
    ) => error);
    expect(stdout.split("\n").filter((line) => /error TS/.test(line))).toEqual([
      expect.stringMatching(/^matchers\.ts\(11,\d+\): error TS2769/),
    ]);
  },
  120_000,
);
