/** The tables of docs/guarantees.md are what the simulation plays. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT } from "../house/copy.ts";
import { crashTable } from "./crash-points.ts";
import { outcomeTable, SETTINGS } from "./outcome-table.ts";

test("each cell of the crash points is what happens", async () => {
  const page = readFileSync(`${ROOT}docs/guarantees.md`, "utf8");
  const [, table = ""] = page.split("<!-- crash points -->");
  const rows = table.trim().split("\n").slice(2).map((line) =>
    line.split("|").slice(1, 4).map((cell) => cell.trim())
  );
  expect(rows).toEqual(await crashTable());
});

// CELERIAC_WRITE_TABLES=1 writes the table anew; `deno fmt docs` then sets its columns.
test("P18: each cell of setting, outcome and crash point is what happens", async () => {
  const path = `${ROOT}docs/guarantees.md`;
  const page = readFileSync(path, "utf8");
  const [before = "", table = "", after = ""] = page.split("<!-- outcomes -->");
  const played = await outcomeTable();
  if (process.env["CELERIAC_WRITE_TABLES"] !== undefined) {
    const lines = [["the task ends in", "its worker dies at", ...Object.keys(SETTINGS)], [
      "---",
      "---",
      ...Object.keys(SETTINGS).map(() => "---"),
    ], ...played];
    const text = lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
    writeFileSync(path, [before, `\n\n${text}\n\n`, after].join("<!-- outcomes -->"));
    return;
  }
  const rows = table.trim().split("\n").slice(2).map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim())
  );
  expect(rows).toEqual(played);
});
