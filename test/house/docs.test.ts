import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { ROOT } from "./copy.ts";
import { links, type Sample, samples } from "./samples.ts";
import { treeFiles } from "./tree.ts";

const run = promisify(execFile);

/** The documents that people read. */
const DOCUMENTS = treeFiles().filter((file) => /^(docs\/.*|examples\/.*|[^/]+)\.md$/.test(file));

const BLOCKS = DOCUMENTS.flatMap((file) => samples(file, readFileSync(ROOT + file, "utf8")));
const TYPESCRIPT = BLOCKS.filter(({ language }) => ["ts", "typescript"].includes(language));

/** One folder a document, one file a sample, so that `./tasks.ts` means the sample of that name; "celeriac" is the built package. */
async function typeErrors(blocks: readonly Sample[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "celeriac-samples-"));
  try {
    symlinkSync(`${ROOT}node_modules`, join(folder, "node_modules"));
    const places = new Map<string, string>();
    for (const [index, { place, name, code }] of blocks.entries()) {
      const file = join(place.replace(/\.md:\d+$/, ""), name ?? `sample${index}.ts`);
      places.set(file, place);
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      // A sample without import or export would share its names with the others.
      writeFileSync(join(folder, file), `${code}\nexport {};\n`);
    }
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: join(ROOT, "test/tsconfig.json"),
        compilerOptions: {
          rootDir: "/",
          noUnusedLocals: false,
          noUnusedParameters: false,
          skipLibCheck: true,
          typeRoots: [`${ROOT}node_modules/@types`],
        },
        include: ["**/*.ts"],
        exclude: ["node_modules"],
      }),
    );
    const tsc = [`${ROOT}node_modules/typescript/bin/tsc`, "-p", folder, "--pretty", "false"];
    const text = await run(process.execPath, tsc, { cwd: folder }).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );
    return text.split("\n").filter((line) => /error TS/.test(line)).map((line) => {
      const [, file = "", row = "0"] = /^(.*?)\((\d+),/.exec(line) ?? [];
      const place = places.get(file);
      return place === undefined ? line : `${place} line ${row}: ${line.replace(/^.*?: error /, "")}`;
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("documents", () => {
  test("the TypeScript samples of README and docs compile, and a wrong one is found", async () => {
    const wrong = samples(
      "docs/wrong.md",
      'text\n\n```ts\nimport { Celery } from "celeriac";\nnew Celeri("x");\n```\n',
    );
    expect(TYPESCRIPT.length).toBeGreaterThan(0);
    expect(await typeErrors([...TYPESCRIPT, ...wrong])).toEqual([
      expect.stringMatching(/^docs\/wrong\.md:3 line 2: TS2\d+: .*Celeri/),
    ]);
  }, 60_000);

  test("no sample is left out of the check", () => {
    expect(TYPESCRIPT.filter(({ flags }) => flags !== "").map(({ place }) => place)).toEqual([]);
    expect(BLOCKS.filter(({ language }) => language === "").map(({ place }) => place)).toEqual([]);
  });

  test("shell samples name npm scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as {
      scripts: Record<string, string>;
    };
    const named = DOCUMENTS.flatMap((file) =>
      [...readFileSync(ROOT + file, "utf8").matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name = ""]) => ({
        file,
        name,
      }))
    );
    expect(named.filter(({ name }) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  test("relative links lead somewhere", () => {
    const dead = DOCUMENTS.flatMap((file) =>
      links(readFileSync(ROOT + file, "utf8")).filter((target) =>
        !existsSync(join(ROOT, dirname(file), target))
      )
        .map((target) => `${file}: ${target}`)
    );
    expect(dead).toEqual([]);
  });
});
