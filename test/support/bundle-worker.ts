/**
 * The process of workers as one file, so that it comes up fast.
 *
 * @module
 */
import { build } from "esbuild";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Writes the program `entry` into the folder; its path. */
export async function bundleWorker(entry: URL, folder: string): Promise<string> {
  const outfile = join(folder, "worker.mjs");
  await build({
    entryPoints: [fileURLToPath(entry)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // ioredis is CommonJS and asks for Node's modules by `require`.
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    external: ["@upstash/redis"],
  });
  return outfile;
}
