import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { samples } from "../house/samples.ts";
import { ROOT } from "../support/celeriac.ts";
import { startChild } from "../support/child.ts";
import { fixtures, LIBRARY, MANIFEST, Packed, PEERS } from "./package.ts";
import { output } from "./run.ts";

/**
 * The names that our declarations may take from the surroundings beside ECMAScript 2023; every runtime has them, the README says so. To
 * add one is to demand it of every user who checks types.
 */
const PINNED = {
  AbortSignal: "interface AbortSignal { readonly aborted: boolean }",
  AsyncDisposable: "interface AsyncDisposable { [Symbol.asyncDispose](): PromiseLike<void> }",
  Disposable: "interface Disposable { [Symbol.dispose](): void }",
  Request: "interface Request { readonly url: string }",
  Response: "interface Response { readonly status: number }",
  "Symbol.asyncDispose": "interface SymbolConstructor { readonly asyncDispose: unique symbol }",
  "Symbol.dispose": "interface SymbolConstructor { readonly dispose: unique symbol }",
};

/** Inside, where no program of a user's comes: the web's, that every runtime has. */
const INSIDE = {
  TextDecoder: "interface TextDecoder { decode(input?: Uint8Array): string }",
  TextEncoder: "interface TextEncoder { encode(input?: string): Uint8Array }",
  URL: "interface URL { readonly href: string }",
};

const COMPILERS = { "5.9.3": "ts59", "6.0.3": "typescript", "7.0.2": "ts7" } as const;

/** TypeScript in Go, which says the same in a tenth of the time: for what does not ask how a version takes it. */
const QUICK = "7.0.2";

const STRICT = { strict: true, target: "ES2022", skipLibCheck: false, noEmit: true };

/** A server with Node's types, and a program for the web without any. */
const WAYS = {
  nodenext: { module: "NodeNext", lib: ["ES2023", "ESNext.Disposable"], types: ["node"] },
  bundler: {
    module: "ESNext",
    moduleResolution: "Bundler",
    lib: ["ES2023", "ESNext.Disposable", "DOM"],
    types: [],
  },
} as const;

const PROGRAM = ["consumer.ts", "edge.ts", "tasks.ts"];

let packed: Packed;
let project: string;
let checks = 0;

beforeAll(async () => {
  packed = await Packed.make();
  // None of the libraries that adapters wrap: what an entry declares must not need the types of one that its user did not install.
  project = await packed.unpack("types", ["@types/node", "commander"]);
  fixtures(project, ...PROGRAM, "browser.ts");
}, 60_000);

afterAll(() => packed[Symbol.dispose]());

function compiler(name: keyof typeof COMPILERS): string {
  return `${ROOT}node_modules/${COMPILERS[name]}/bin/tsc`;
}

/** What a compiler says of the files, with the options. */
async function check(
  version: keyof typeof COMPILERS,
  files: readonly string[],
  compilerOptions: object,
): Promise<string[]> {
  const config = join(project, `tsconfig.${++checks}.json`);
  writeFileSync(config, JSON.stringify({ compilerOptions: { ...STRICT, ...compilerOptions }, files }));
  await using child = startChild(process.execPath, [compiler(version), "--pretty", "false", "-p", config], {
    cwd: project,
  });
  const lines: string[] = [];
  child.onLine((line) => void lines.push(line));
  const end = await child.end;
  if (end !== "exit 0" && lines.length === 0) throw new Error(`tsc ${version}: ${end}\n${child.log}`);
  return lines;
}

function declarations(): string[] {
  return readdirSync(join(project, "node_modules/celeriac/dist"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".d.ts")).map((file) => `node_modules/celeriac/dist/${file}`);
}

test("the program that is compiled uses every entry", () => {
  const text = PROGRAM.map((file) => readFileSync(join(project, file), "utf8")).join("");
  expect(LIBRARY.filter((entry) => !text.includes(`from "${entry}"`))).toEqual([]);
});

test("the examples at the top of the entries compile", async () => {
  const files = Object.entries(MANIFEST.exports).flatMap(([name, { default: built }]) => {
    const source = readFileSync(ROOT + built.replace(/^\.\/dist\/(.*)\.js$/, "$1.ts"), "utf8");
    const [comment = ""] = /^(?:#!.*\n)?\/\*\*[^]*?\*\//.exec(source) ?? [];
    return samples(name, comment.replaceAll(/^ \* ?/gm, "")).map(({ code }, index) => {
      const file = `example${name.replaceAll(/\W/g, "-")}-${index}.ts`;
      writeFileSync(join(project, file), code);
      return file;
    });
  });
  expect(files.length).toBeGreaterThanOrEqual(LIBRARY.length);
  expect(await check(QUICK, files, { ...WAYS.bundler, allowImportingTsExtensions: true })).toEqual([]);
}, 60_000);

describe.each(Object.keys(COMPILERS) as (keyof typeof COMPILERS)[])("with TypeScript %s", (version) => {
  test("which is that version", async () => {
    expect(await output(process.execPath, [compiler(version), "--version"], { cwd: project })).toContain(
      version,
    );
  });

  const allowImportingTsExtensions = true;

  test("a strict program that checks its libraries compiles under nodenext", async () => {
    expect(await check(version, PROGRAM, { ...WAYS.nodenext, allowImportingTsExtensions })).toEqual([]);
  }, 60_000);

  test("a strict program that checks its libraries compiles under bundler, for the web", async () => {
    const files = [...PROGRAM, "browser.ts"];
    expect(await check(version, files, { ...WAYS.bundler, allowImportingTsExtensions })).toEqual([]);
  }, 60_000);
});

test("a strict program compiles on Deno, against the installed package", async () => {
  await output(`${ROOT}node_modules/.bin/deno`, ["check", ...PROGRAM, "browser.ts"], { cwd: project });
}, 60_000);

describe("the emitted declarations", () => {
  const bare = { module: "NodeNext", lib: ["ES2023"], types: [] };

  test("of the entries need the pinned names from their surroundings, and no library's types", async () => {
    const entries = Object.values(MANIFEST.exports).map(({ types }) => join("node_modules/celeriac", types));
    const missing = (await check(QUICK, entries, bare)).map((line) => {
      const [, name, member] =
        /Cannot find name '(\w+)'|Property '(\w+)' does not exist on type 'SymbolConstructor'/
          .exec(line) ?? [];
      return name ?? (member === undefined ? line : `Symbol.${member}`);
    });
    console.log(`names that the public types take from the surroundings: ${Object.keys(PINNED).join(", ")}`);
    expect([...new Set(missing)].sort()).toEqual(Object.keys(PINNED));
  }, 60_000);

  test("all of them, those inside too, need nothing else but the adapters' libraries", async () => {
    writeFileSync(join(project, "globals.d.ts"), Object.values({ ...PINNED, ...INSIDE }).join("\n"));
    const files = [...declarations(), "globals.d.ts"];
    expect(files.length).toBeGreaterThan(100);
    const surplus = (await check(QUICK, files, bare)).filter((line) => {
      const library = /Cannot find module '([^']+)' or its/.exec(line)?.[1] ?? "";
      return !PEERS.some((name) => library === name || library.startsWith(`${name}/`));
    });
    expect(surplus).toEqual([]);
  }, 60_000);
});
