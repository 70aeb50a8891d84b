import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { planOf } from "../long/red/plan.ts";
import { SABOTEURS } from "../long/red/table.ts";
import { edited } from "../mutants/bundle.ts";
import { ROOT } from "./copy.ts";

test("each contract test on a real server has a saboteur that is to turn it red, and each saboteur has tests", () => {
  const { gaps, places } = planOf(SABOTEURS);
  expect(places.length).toBeGreaterThan(450);
  expect(gaps).toEqual([]);
});

test("what a saboteur changes in a source stands there", () => {
  const edits = SABOTEURS.flatMap(({ edits = [] }) => edits);
  expect(edits.length).toBeGreaterThan(0);
  for (const edit of edits) expect(() => edited(readFileSync(ROOT + edit.file, "utf8"), edit)).not.toThrow();
});
