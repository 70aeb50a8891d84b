/**
 * The same test files inside workerd, Cloudflare's runtime: what `test/rooms.mjs` lists, in one isolate.
 *
 * vitest's own runner needs `nodejs_compat`; test/workerd/bare.test.ts runs the library without it.
 *
 * @module
 */
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vitest/config";
import { IN_WORKERD, OUT_OF_WORKERD } from "./test/rooms.mjs";
import { textsModule } from "./test/support/bare/bundle.ts";
import common from "./vitest.config.ts";

const FILES = "virtual:files";

/** What tests read by `node:fs`: workerd has no disk of ours, so the texts travel in a module that stands for it. */
function files(): Plugin {
  return {
    name: "files",
    enforce: "pre",
    // The pool takes the runtime's own modules before any plugin is asked for them: the import itself is rewritten.
    transform: (code, id) => id.endsWith(".ts") ? code.replace('from "node:fs"', `from "${FILES}"`) : null,
    resolveId: (id) => id === FILES ? `\0${FILES}` : null,
    load: (id) => id === `\0${FILES}` ? textsModule() : null,
  };
}

export default defineConfig({
  resolve: common.resolve ?? {},
  oxc: common.oxc ?? {},
  plugins: [
    files(),
    cloudflareTest({
      miniflare: { compatibilityDate: "2026-04-01", compatibilityFlags: ["nodejs_compat"] },
    }),
  ],
  test: {
    include: IN_WORKERD.map((path) => path.endsWith(".ts") ? path : `${path}/**/*.test.ts`),
    exclude: Object.keys(OUT_OF_WORKERD).map((path) => path.endsWith(".ts") ? path : `${path}/**`),
    setupFiles: [fileURLToPath(new URL("test/support/workerd.ts", import.meta.url))],
    provide: { ...common.test?.provide, runtime: "workerd" },
    // An isolate for each file costs a process each, and twice the time of the whole.
    isolate: false,
    maxWorkers: 1,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
});
