/**
 * The process of a worker as one file, so that it comes up fast.
 *
 * @module
 */
import { build } from "esbuild";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Writes it into the folder; its path. */
export async function bundleWorker(folder: string): Promise<string> {
  const outfile = join(folder, "worker.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("./worker.ts", import.meta.url))],
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
