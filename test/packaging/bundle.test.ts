import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "./bundle.ts";
import { fixtures, LIBRARY, MANIFEST, Packed, PEERS } from "./package.ts";
import { output } from "./run.ts";

/** What a bundle may leave to its runtime, where a test is not about that. */
const OUTSIDE = ["node:*", ...Object.keys(MANIFEST.dependencies), ...PEERS];

let packed: Packed;
let project: string;

beforeAll(async () => {
  packed = await Packed.make();
  project = await packed.unpack("bundle", PEERS);
}, 60_000);

afterAll(() => packed[Symbol.dispose]());

test.each(LIBRARY)("an import of %s that is not used leaves nothing in a bundle", async (entry) => {
  const { text } = await bundle(project, `import "${entry}"; import * as all from "${entry}";`, OUTSIDE);
  expect(text).toBe("");
});

test("the command's entry stays: importing it is running it", async () => {
  const { kept } = await bundle(project, 'import "celeriac/cli";', OUTSIDE);
  expect(kept).toContain("src/cli/bin.js");
});

test("of the front door a bundle takes what it uses", async () => {
  const { kept } = await bundle(project, 'export { ConfigurationError } from "celeriac";');
  expect(kept).toEqual(["src/errors.js"]);
});

// This is what makes the claim in package.json true, which the bundler above took on trust.
test("loading an entry does nothing that a program could notice", async () => {
  fixtures(project, "silent.mjs");
  const env = { ENTRIES: JSON.stringify(LIBRARY) };
  expect(await output(process.execPath, ["silent.mjs"], { cwd: project, env })).toBe(LIBRARY.join("\n"));
});
