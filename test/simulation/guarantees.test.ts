/** The table of docs/guarantees.md is what the simulation plays. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT } from "../house/copy.ts";
import { crashTable } from "./crash-points.ts";

test("each cell of the crash points is what happens", async () => {
  const page = readFileSync(`${ROOT}docs/guarantees.md`, "utf8");
  const [, table = ""] = page.split("<!-- crash points -->");
  const rows = table.trim().split("\n").slice(2).map((line) =>
    line.split("|").slice(1, 4).map((cell) => cell.trim())
  );
  expect(rows).toEqual(await crashTable());
});
