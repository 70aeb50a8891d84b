import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "./copy.ts";

const run = promisify(execFile);
const BIN = `${ROOT}node_modules/.bin/`;
const { exports } = JSON.parse(readFileSync(`${ROOT}deno.json`, "utf8")) as {
  exports: Record<string, string>;
};

/** Gives what the tool wrote; fails with it when the tool is not content. */
async function content(program: string, ...args: string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(program, args, {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: "1" },
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout: string; stderr: string; message: string };
    throw new Error(`${message}\n${stdout}${stderr}`, { cause: error });
  }
}

let folder: string;
let tarball: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "celeriac-pack-"));
  // npm test has built already; scripts would only build again.
  await content("npm", "pack", "--ignore-scripts", "--pack-destination", folder);
  tarball = join(folder, readdirSync(folder).find((file) => file.endsWith(".tgz")) ?? "");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("publint has nothing to say of the npm package", async () => {
  await content(`${BIN}publint`, "run", "--strict", tarball);
}, 60_000);

test("attw finds the types of every entry from an ES module", async () => {
  await content(`${BIN}attw`, tarball, "--profile", "esm-only", "--no-emoji");
}, 60_000);

test("JSR would take the package: the source, documented and without slow types", async () => {
  // It checks types as well, by Deno's own libraries.
  const text = await content(`${BIN}deno`, "publish", "--dry-run", "--allow-dirty");
  expect(text).toMatch(/^Success/m);
  const files = [...text.matchAll(/^ +file:\/\/\S*?\/(\S+) \(/gm)].map(([, file = ""]) =>
    file.slice(ROOT.length - 1)
  );
  expect(files).toEqual(
    expect.arrayContaining(["deno.json", ...Object.values(exports).map((file) => file.slice(2))]),
  );
  const papers = ["CHANGELOG.md", "LICENSE", "README.md", "deno.json", "mod.ts"];
  expect(files.filter((file) => !papers.includes(file) && !/^(adapters|src)\/.*\.ts$/.test(file))).toEqual(
    [],
  );
  // The command loads the module that its user names: no tool can know it before.
  const warnings = [...text.matchAll(/^warning\[([\w-]+)\].*\n +--> (\S+):\d+:\d+$/gm)];
  expect(warnings.map(([, code, place]) => `${code} ${place}`)).toEqual([
    `unanalyzable-dynamic-import ${ROOT}src/cli/load.ts`,
  ]);
  expect(text.match(/^warning/gm)).toHaveLength(1);
}, 120_000);

test("every public name is documented, and every type in a signature is public", async () => {
  await content(`${BIN}deno`, "doc", "--lint", ...Object.values(exports));
}, 60_000);
