/**
 * The simulation, or another module, in one file, with a defect planted into the sources on the way.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { build, type Plugin } from "esbuild";
import { ROOT } from "../house/copy.ts";
import type { Edit } from "./mutants.ts";
import { signed } from "./signed.ts";

/** The text with the edit made. Throws where its place is not there exactly once: the code has moved on, and the mutant must follow. */
export function edited(text: string, { file, find, put }: Edit): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new Error(`${file} has the mutant's text ${parts.length - 1} times:\n${find}`);
  }
  return parts.join(put);
}

function planting(edits: readonly Edit[], made: Set<string>): Plugin {
  return {
    name: "mutant",
    setup({ onLoad }) {
      // Each file that it asks us about is a trip to this process and back.
      const files = [...new Set(edits.map(({ file }) => file.replaceAll(/[.]/g, "\\.")))];
      onLoad({ filter: new RegExp(`/(?:${files.join("|")})$`) }, ({ path }) => {
        const file = relative(ROOT, path);
        const own = edits.filter((edit) => edit.file === file);
        if (own.length === 0) return undefined;
        made.add(file);
        return { contents: signed(own.reduce(edited, readFileSync(path, "utf8"))), loader: "ts" };
      });
    },
  };
}

/** Writes the bundle of `entry` (a path of the project) with the edits made to `outfile`. */
export async function bundle(
  edits: readonly Edit[],
  outfile: string,
  entry = "test/mutants/run.ts",
): Promise<void> {
  const made = new Set<string>();
  await build({
    entryPoints: [join(ROOT, entry)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    external: ["fast-check", "@cloudamqp/amqp-client", "ioredis"],
    logLevel: "silent",
    plugins: [planting(edits, made)],
  });
  const missed = edits.find(({ file }) => !made.has(file));
  if (missed !== undefined) throw new Error(`${missed.file} is no part of ${entry}`);
}
