/**
 * The hosts of an edge function, each fed the same file: workerd, edge-runtime's VM, Bun and Deno.
 *
 * @module
 */
import { EdgeVM } from "@edge-runtime/vm";
import { build } from "esbuild";
import { readFileSync } from "node:fs";
import { Miniflare } from "miniflare";
import { ROOT } from "../support/celeriac.ts";
import { startChild } from "../support/child.ts";

/** A host that serves one file. */
export interface Host extends AsyncDisposable {
  /** Answers a request to `path`. */
  fetch(path: string, method?: "GET" | "POST"): Promise<Response>;
}

/** What the host gives to its function. */
export type Settings = Readonly<Record<string, string>>;

const manifest = JSON.parse(readFileSync(`${ROOT}deno.json`, "utf8")) as {
  readonly exports: Readonly<Record<string, string>>;
};

/** One file for a runtime that has the web's names only: a module of Node in it is an error. */
export async function bundleOf(file: string, code = `export { default } from "./${file}";`): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: ROOT, loader: "ts" },
    alias: Object.fromEntries(
      Object.entries(manifest.exports).map(([name, path]) => [`celeriac${name.slice(1)}`, ROOT + path]),
    ),
    bundle: true,
    write: false,
    format: code.includes("addEventListener") ? "iife" : "esm",
    platform: "browser",
    conditions: ["workerd", "worker"],
    target: "es2022",
    logLevel: "silent",
  });
  return outputFiles[0]?.text ?? "";
}

/** Cloudflare's workerd, without any compatibility flag. */
export async function inWorkerd(file: string, bindings: Settings): Promise<Host> {
  const contents = await bundleOf(file);
  const worker = new Miniflare({
    modules: [{ type: "ESModule", path: "edge.mjs", contents }],
    compatibilityDate: "2026-04-01",
    bindings: { ...bindings },
  });
  await worker.ready;
  return {
    fetch: async (path, method = "GET") =>
      await worker.dispatchFetch(`http://edge${path}`, { method }) as unknown as Response,
    [Symbol.asyncDispose]: () => worker.dispose(),
  };
}

/** The strict VM of Vercel's edge-runtime: no process, no Buffer, no navigator, no eval. */
export async function inEdgeRuntime(file: string, bindings: Settings): Promise<Host> {
  const code = await bundleOf(
    file,
    `import api from "./${file}";
     addEventListener("fetch", (event: any) => event.respondWith(api.fetch(event.request, ${
      JSON.stringify(bindings)
    })));`,
  );
  const vm = new EdgeVM({ initialCode: code });
  return {
    fetch: async (path, method = "GET") =>
      await vm.dispatchFetch(`http://edge${path}`, { method }) as unknown as Response,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** `bun app.ts`, which serves a default export. */
export async function inBun(file: string, env: Settings): Promise<Host> {
  return await served(`${ROOT}node_modules/.bin/bun`, [file], { ...env, BUN_PORT: "0", HOST: "127.0.0.1" });
}

/** `deno serve app.ts`, which serves a default export. */
export async function inDeno(file: string, env: Settings): Promise<Host> {
  const args = ["serve", "-A", "--host", "127.0.0.1", "--port", "0", file];
  return await served(`${ROOT}node_modules/.bin/deno`, args, env);
}

async function served(program: string, args: readonly string[], env: Settings): Promise<Host> {
  const child = startChild(program, args, { cwd: ROOT, env: { ...env, NO_COLOR: "1" } });
  const [, url] = await child.saw(/(http:\/\/[\w.]+:\d+)/);
  const base = (url ?? "").replace("localhost", "127.0.0.1").replace("0.0.0.0", "127.0.0.1");
  return {
    fetch: (path, method = "GET") => fetch(base + path, { method }),
    async [Symbol.asyncDispose]() {
      await child.stop();
    },
  };
}
