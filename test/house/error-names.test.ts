/**
 * What a bundler's minifier leaves of the error classes: their names, and none of those that nobody throws.
 *
 * @module
 */
import { build } from "esbuild";
import { expect, test } from "vitest";
import * as errors from "../../src/errors.ts";
import { ROOT } from "./copy.ts";

/** Python meets the exceptions that it would have met. */
const PYTHON: Readonly<Record<string, string>> = {
  TaskArgumentError: "TypeError",
  TaskInputError: "ValueError",
};

const CLASSES = Object.keys(errors);

async function minified(code: string, target: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: ROOT, loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target,
  });
  return outputFiles[0]?.text ?? "";
}

async function run(code: string): Promise<unknown> {
  const bundle = await import(`data:text/javascript;base64,${btoa(code)}`) as { readonly names: unknown };
  return bundle.names;
}

test.each(["es2022", "es2020", "esnext"])(
  "each error class keeps its name when minified for %s",
  async (target) => {
    expect(CLASSES.length).toBeGreaterThan(10);
    const made = CLASSES.map((name) =>
      `new errors.${name}("code", "text", { excType: "X", excMessage: [], excModule: "m" })`
    );
    const code = `import * as errors from "./src/errors.ts";
    import { FakeUnsupported } from "./adapters/memory/rabbit/fault.ts";
    const all = [${made.join(", ")}, new FakeUnsupported("x")];
    export const names = all.flatMap((error) => [error.name, String(error).split(":")[0]]);`;
    const wanted = [...CLASSES.map((name) => PYTHON[name] ?? name), "FakeUnsupported"];
    expect(await run(await minified(code, target))).toEqual(wanted.flatMap((name) => [name, name]));
  },
);

test.each(["es2022", "es2020", "esnext"])(
  "an error class that nobody throws is not in a bundle for %s",
  async (target) => {
    const code = `import { ConfigurationError } from "./src/errors.ts";
    export const names = [new ConfigurationError("code", "text").name];`;
    const bundle = await minified(code, target);
    expect(await run(bundle)).toEqual(["ConfigurationError"]);
    const base = ["CeleriacError", "ConfigurationError"];
    const unused = CLASSES.filter((name) => !base.includes(name)).map((name) => PYTHON[name] ?? name);
    expect(unused.filter((name) => bundle.includes(name))).toEqual([]);
  },
);
