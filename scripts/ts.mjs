/**
 * Runs a TypeScript file on the runtime at hand: `node scripts/ts.mjs FILE args…`.
 *
 * @module
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: node scripts/ts.mjs FILE args…");
  process.exit(2);
}
const path = resolve(file);
// The file sees what it would see if it had been started by name.
process.argv.splice(1, process.argv.length, path, ...args);
const native = "Bun" in globalThis || "Deno" in globalThis || Boolean(process.features.typescript);
if (native) {
  await import(pathToFileURL(path).href);
} else {
  const { createJiti } = await import("jiti");
  // fsCache would write, and later execute, files in a shared folder of guessable name.
  await createJiti(import.meta.url, { fsCache: false, tryNative: false }).import(path);
}
