/**
 * Each planted defect is found by the simulation within 500 runs.
 */
import { expect, test } from "vitest";
import { hunting } from "./hunt.ts";
import { MUTANTS } from "./mutants.ts";

const hunt = hunting("test/mutants/run.ts");
const seed = 20_261_130;

test("without a defect nothing is found", { timeout: 60_000 }, async () => {
  expect(await hunt([], { runs: 50, seed })).toEqual({ failure: undefined, runs: 50 });
});

for (const { name, does, edits } of MUTANTS) {
  test(`found: ${name}`, { timeout: 120_000 }, async () => {
    const { failure, runs } = await hunt(edits, { runs: 500, seed });
    expect(failure, `${does}: not found in ${runs} runs`).toBeDefined();
    console.log(`${name}: ${failure?.split("\n").slice(0, 2).join(" ").slice(0, 200)}`);
  });
}
