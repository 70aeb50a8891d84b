/**
 * Each planted defect is found by the simulation within 500 runs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, expect, test } from "vitest";
import { ROOT } from "../house/copy.ts";
import { bundle } from "./bundle.ts";
import { type Edit, MUTANTS } from "./mutants.ts";

interface Found {
  readonly failure: string | undefined;
  readonly runs: number;
}

// Inside the project: the bundle asks for fast-check.
const folder = mkdtempSync(join(ROOT, "node_modules", ".mutants-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** In a thread: a defect may loop for ever, or throw where nobody catches. */
async function hunt(edits: readonly Edit[], runs: number): Promise<Found> {
  const file = join(folder, `${crypto.randomUUID()}.mjs`);
  await bundle(edits, file);
  const worker = new Worker(file, { workerData: { runs, seed: 20_261_130 } });
  try {
    return await new Promise<Found>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the simulation ended with code ${code}`)));
    });
  } finally {
    await worker.terminate();
  }
}

test("without a defect nothing is found", { timeout: 60_000 }, async () => {
  expect(await hunt([], 50)).toEqual({ failure: undefined, runs: 50 });
});

for (const { name, does, edits } of MUTANTS) {
  test(`found: ${name}`, { timeout: 120_000 }, async () => {
    const { failure, runs } = await hunt(edits, 500);
    expect(failure, `${does}: not found in ${runs} runs`).toBeDefined();
    console.log(`${name}: ${failure?.split("\n").slice(0, 2).join(" ").slice(0, 200)}`);
  });
}
