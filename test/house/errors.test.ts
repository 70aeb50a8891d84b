import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT } from "./copy.ts";
import { treeFiles } from "./tree.ts";

/** The codes that the sources give to an error: the first argument of a constructor or maker, either side of a choice. */
const GIVEN =
  /(?:new [A-Z]\w*|super|failed|fault)\(\s*(?:\/[^\n]*\n?\s*\?\s*|[a-z(/][^"\n]{0,80}\?\s*)?"([a-z][a-z0-9]*(?:-[a-z0-9]+)+)"(?:\s*:\s*"([a-z][a-z0-9]*(?:-[a-z0-9]+)+)")?/g;
/** A choice made before the error is made, and the code of a log line. */
const NAMED =
  /\bcode(?:: | = [^"\n]*\? ?)"([a-z][a-z0-9]*(?:-[a-z0-9]+)+)"(?: : "([a-z][a-z0-9]*(?:-[a-z0-9]+)+)")?/g;
/** What looks like one, besides the arguments of AMQP. */
const NO_CODES = new Set(["utf-8"]);

function codesIn(text: string): string[] {
  return [GIVEN, NAMED].flatMap((pattern) => [...text.matchAll(pattern)])
    .flatMap(([, one, other]) => [one, other])
    .filter((code) => code !== undefined && !NO_CODES.has(code) && !code.startsWith("x-")) as string[];
}

/** All that ships, in one text. */
function sources(): string {
  const files = treeFiles().filter((file) => /^(src|adapters)\/.*\.ts$/.test(file));
  return files.map((file) => readFileSync(ROOT + file, "utf8")).join("\n");
}

test("docs/errors.md lists each error code that the sources give, and no other", () => {
  const text = sources();
  const page = readFileSync(`${ROOT}docs/errors.md`, "utf8");
  const listed = [...page.matchAll(/^\| `([a-z0-9-]+)` *\|/gm)].map(([, code]) => code ?? "");
  const given = [...new Set(codesIn(text))];
  expect(given.length).toBeGreaterThan(80);
  expect(given.filter((code) => !listed.includes(code))).toEqual([]);
  expect(listed.filter((code) => !text.includes(`"${code}"`))).toEqual([]);
  expect(new Set(listed).size).toBe(listed.length);
});
