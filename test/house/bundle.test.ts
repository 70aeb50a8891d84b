import { build } from "esbuild";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { ROOT } from "./copy.ts";

/** Bundles source for a runtime that has the web's names only; a module of Node is an error there. */
async function bundle(code: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: ROOT, loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    logLevel: "silent",
  });
  const [file] = outputFiles;
  return file?.contents ?? new Uint8Array();
}

test.each([
  ["the front door", 'export * from "./mod.ts";'],
  ["the memory pair", 'export * from "./mod.ts"; export * from "./adapters/memory/mod.ts";'],
  ["the worker", 'export * from "./mod.ts"; export * from "./src/worker/mod.ts";'],
])("%s bundles without any module of Node", async (what, code) => {
  const bytes = await bundle(code);
  console.log(
    `${what}: ${(bytes.length / 1024).toFixed(1)} kB, ${(gzipSync(bytes).length / 1024).toFixed(1)} kB gzip`,
  );
  expect(bytes.length).toBeGreaterThan(1000);
});

test("a module of Node in a bundle is an error", async () => {
  await expect(bundle('export { readFileSync } from "node:fs";')).rejects.toThrow(/node:fs/);
});
