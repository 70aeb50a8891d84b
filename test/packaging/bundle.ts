/**
 * A bundle of what a project imports, as wrangler makes it for Cloudflare without `nodejs_compat`: the web's names only, a module of Node
 * is an error.
 *
 * @module
 */
import { build } from "esbuild";
import { gzipSync } from "node:zlib";

export interface Bundle {
  readonly text: string;
  /** Minified and gzipped, for people. */
  readonly size: string;
  /** The modules of ours that something is left of, by their place in dist. */
  readonly kept: readonly string[];
  /** What the runtime would have to bring. */
  readonly imports: readonly string[];
}

const kb = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;

/** @param external what is left to the runtime; nothing by default */
export async function bundle(
  project: string,
  code: string,
  external: readonly string[] = [],
): Promise<Bundle> {
  const { outputFiles: [file], metafile } = await build({
    stdin: { contents: code, resolveDir: project },
    absWorkingDir: project,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    conditions: ["workerd", "worker", "browser"],
    target: "es2022",
    logLevel: "silent",
    external: [...external],
  });
  const text = file?.text ?? "";
  const [made] = Object.values(metafile.outputs);
  const kept = Object.entries(made?.inputs ?? {}).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  return {
    text,
    size: `${kb(text.length)} minified, ${kb(gzipSync(text).length)} gzip`,
    kept: kept.flatMap(([path]) => path.split("node_modules/celeriac/dist/")[1] ?? []).sort(),
    imports: (made?.imports ?? []).filter(({ external: left }) => left).map(({ path }) => path),
  };
}
