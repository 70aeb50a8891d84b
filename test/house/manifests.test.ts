import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT } from "./copy.ts";

interface NpmManifest {
  readonly version: string;
  readonly license: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

interface DenoManifest {
  readonly version: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string>>;
}

function read<T>(file: string): T {
  return JSON.parse(readFileSync(ROOT + file, "utf8")) as T;
}

const npm = read<NpmManifest>("package.json");
const deno = read<DenoManifest>("deno.json");

test("both manifests have one export list, one version and one license", () => {
  const built = Object.entries(npm.exports).map(([name, entry]) => [
    name,
    entry.default.replace("./dist/", "./").replace(/\.js$/, ".ts"),
  ]);
  expect(Object.fromEntries(built)).toEqual(deno.exports);
  expect(npm.version).toBe(deno.version);
  expect(npm.license).toBe(deno.license);
});

test("the types of an export stand beside its code", () => {
  for (const entry of Object.values(npm.exports)) {
    expect(entry.types).toBe(entry.default.replace(/\.js$/, ".d.ts"));
  }
});

test("every exported file exists, as source and as built", () => {
  const files = [
    ...Object.values(deno.exports),
    ...Object.values(npm.exports).flatMap((entry) => [entry.types, entry.default]),
  ];
  expect(files.filter((file) => !existsSync(ROOT + file))).toEqual([]);
});

test.each(Object.entries(deno.exports))("the entry %s tells what it is, and shows it", (name, file) => {
  const [comment = ""] = /^(?:#!.*\n)?\/\*\*[^]*?\*\//.exec(readFileSync(ROOT + file, "utf8")) ?? [];
  expect(comment).toContain("@module");
  // The command is shown by its own --help.
  if (name === "./cli") return;
  expect(comment).toMatch(/ \* @example\n \* ```ts\n/);
  expect(comment).toContain(`from "celeriac${name.slice(1)}";`);
});

test("the command is the exported CLI", () => {
  expect(`./${npm.bin["celeriac"]}`).toBe(npm.exports["./cli"]?.default);
});

test("every entry is in the README's table, and nothing else is", () => {
  const table = readFileSync(`${ROOT}README.md`, "utf8").matchAll(/^\| `celeriac((?:\/[a-z]+)*)` +\|/gm);
  expect([...table].map(([, path]) => `.${path}`).sort()).toEqual(Object.keys(deno.exports).sort());
});

test("tools are pinned exactly and the package depends on itself", () => {
  const { celeriac, ...tools } = npm.devDependencies;
  expect(celeriac).toBe("file:");
  for (const [name, version] of Object.entries({ ...tools, ...npm.dependencies })) {
    expect(`${name} ${version}`).toMatch(/ (npm:[a-z]+@)?\d+\.\d+\.\d+$/);
  }
});
