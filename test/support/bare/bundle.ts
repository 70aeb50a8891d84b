/**
 * Bundles of source for runtimes that have the web's names only.
 *
 * @module
 */
import { build, type Plugin } from "esbuild";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

const manifest = JSON.parse(readFileSync(`${ROOT}deno.json`, "utf8")) as {
  readonly exports: Readonly<Record<string, string>>;
};

const alias = Object.fromEntries(
  Object.entries(manifest.exports).map(([name, path]) => [`celeriac${name.slice(1)}`, ROOT + path]),
);

/** How a bundle is made. */
export interface BundleOptions {
  /** "iife" where the runtime takes a script. @default "esm" */
  readonly format?: "esm" | "iife";
  /** Modules that stand for others. */
  readonly alias?: Readonly<Record<string, string>>;
  readonly plugins?: readonly Plugin[];
  /** Files whose exports stand for globals. */
  readonly inject?: readonly string[];
}

/**
 * One file of this TypeScript and all that it imports, the package's own names leading to the source. A module of Node is an error.
 *
 * @param code resolves from the checkout
 */
export async function bundle(code: string, options: BundleOptions = {}): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: ROOT, loader: "ts", sourcefile: "entry.ts" },
    alias: { ...alias, ...options.alias },
    plugins: [...options.plugins ?? []],
    inject: [...options.inject ?? []],
    bundle: true,
    write: false,
    format: options.format ?? "esm",
    platform: "browser",
    conditions: ["workerd", "worker"],
    target: "es2022",
    logLevel: "silent",
  });
  return outputFiles[0]?.text ?? "";
}

/** A bundle that holds these test files, and `run(provided)`, as an export or, in a script, as a global. */
export async function bundleTests(
  files: readonly string[],
  format: "esm" | "iife",
): Promise<string> {
  const loads = files.map((file) => `${JSON.stringify(file)}: () => import("./${file}")`);
  const code = `import { runFiles } from "vitest";
    const run = (provided: Record<string, unknown>) => runFiles({ ${loads.join(",\n")} }, provided as never);
    ${format === "esm" ? "export { run };" : "Object.assign(globalThis, { run });"}`;
  return await bundle(code, {
    format,
    alias: { vitest: `${ROOT}test/support/bare/vitest.ts` },
    plugins: [texts, places],
    inject: [`${ROOT}test/support/bare/globals.ts`],
  });
}

/** What tests read by `node:fs`, in the bundle. */
const texts: Plugin = {
  name: "texts",
  setup(to) {
    to.onResolve({ filter: /^node:fs$/ }, () => ({ path: "texts", namespace: "texts" }));
    to.onLoad({ filter: /.*/, namespace: "texts" }, () => ({ contents: textsModule() }));
  },
};

/** `import.meta.url`, which a bundle loses, as the address of the file in the checkout. */
const places: Plugin = {
  name: "places",
  setup(to) {
    to.onLoad({ filter: /\/test\/.*\.ts$/ }, ({ path }) => {
      const code = readFileSync(path, "utf8");
      if (!code.includes("import.meta.url")) return undefined;
      return {
        contents: code.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)),
        loader: "ts",
      };
    });
  },
};

/** A module that stands for `node:fs` where there is no disk of ours: it holds the texts that tests read. */
export function textsModule(): string {
  const folders = ["test/vectors", "test/vectors-own"].flatMap((folder) =>
    readdirSync(ROOT + folder).map((name) => `${folder}/${name}`)
  );
  const entries = [...folders, "test/interop/differences.md"].map((path) =>
    [pathToFileURL(ROOT + path).href, readFileSync(ROOT + path, "utf8")] as const
  );
  return `const texts = new Map(${JSON.stringify(entries)});
export function readFileSync(url) {
  const text = texts.get(String(url));
  if (text === undefined) throw new Error("test/support/bare/bundle.ts carries no text " + url);
  return text;
}`;
}
