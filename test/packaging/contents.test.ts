import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MANIFEST, Packed } from "./package.ts";

let packed: Packed;
let root: string;
let files: readonly string[];

beforeAll(async () => {
  packed = await Packed.make();
  root = join(await packed.unpack("contents", []), "node_modules/celeriac");
  files = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => statSync(join(root, file)).isFile());
}, 60_000);

afterAll(() => packed[Symbol.dispose]());

const TOP = ["CHANGELOG.md", "LICENSE", "README.md", "mod.ts", "package.json"];
const SOURCE = /^(adapters|src)\/.+\.ts$/;
const BUILT = /^dist\/(mod|adapters\/.+|src\/.+)\.(js|d\.ts|js\.map|d\.ts\.map)$/;

test("the package is the source, what was built of it, and four papers", () => {
  const size = (names: readonly string[]): string =>
    `${Math.round(names.reduce((sum, file) => sum + statSync(join(root, file)).size, 0) / 1000)} kB`;
  const code = files.filter((file) => file.startsWith("dist/") && file.endsWith(".js"));
  console.log(
    `the package: ${Math.round(statSync(packed.tarball).size / 1000)} kB packed, ${size(files)} unpacked, ` +
      `of which the code is ${size(code)}; ${files.length} files`,
  );
  expect(files.filter((file) => !TOP.includes(file) && !SOURCE.test(file) && !BUILT.test(file))).toEqual([]);
  expect(files).toEqual(expect.arrayContaining(TOP));
});

test("each source is built, and nothing is that has no source", () => {
  const sources = files.filter((file) => file === "mod.ts" || SOURCE.test(file)).map((file) =>
    file.slice(0, -3)
  );
  const built = files.filter((file) => BUILT.test(file));
  expect(built.sort()).toEqual(
    sources.flatMap((name) => ["js", "d.ts", "js.map", "d.ts.map"].map((end) => `dist/${name}.${end}`))
      .sort(),
  );
});

test("each map is named by its file, and names sources that are there", () => {
  for (const file of files.filter((name) => /^dist\/.*(\.js|\.d\.ts)$/.test(name))) {
    const named = /^\/\/# sourceMappingURL=(.+)$/m.exec(readFileSync(join(root, file), "utf8"))?.[1];
    const map = join(dirname(file), named ?? "");
    expect(`${file} ${map}`).toBe(`${file} ${file}.map`);
    const { sources } = JSON.parse(readFileSync(join(root, map), "utf8")) as { sources: string[] };
    expect(sources.length).toBe(1);
    for (const source of sources) {
      expect(existsSync(join(root, dirname(map), source)), `${map}: ${source}`).toBe(true);
    }
  }
});

test("it depends on three small packages, and its adapters on libraries that the user chooses", () => {
  expect(Object.keys(MANIFEST.dependencies)).toEqual(["commander", "jiti", "ws"]);
  expect(MANIFEST.peerDependencies).toEqual({
    "@cloudamqp/amqp-client": "^4.1.1",
    "@upstash/redis": "^1.39.0",
    "ioredis": "^6.0.0",
  });
  for (const [name, range] of Object.entries(MANIFEST.peerDependencies)) {
    expect(MANIFEST.peerDependenciesMeta[name]).toEqual({ optional: true });
    // The version that the tests run is the oldest that a user may have.
    expect(`^${MANIFEST.devDependencies[name]}`).toBe(range);
  }
});

test("nothing that is packed names this checkout", () => {
  const here = files.filter((file) => /\.(js|ts|json|map|md)$/.test(file))
    .filter((file) => /\/work\/|file:\/\/\/|\/home\/|\/tmp\//.test(readFileSync(join(root, file), "utf8")));
  expect(here).toEqual([]);
});
