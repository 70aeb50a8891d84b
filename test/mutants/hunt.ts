/**
 * A checker that is let loose on the sources with a defect in them.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, onTestFinished } from "vitest";
import { ROOT } from "../house/copy.ts";
import { bundle } from "./bundle.ts";
import type { Edit } from "./mutants.ts";

/** What came of it. */
export interface Found {
  readonly failure: string | undefined;
  /** How many were run. */
  readonly runs: number;
}

/** What the checker is told. */
export interface HuntOptions {
  readonly runs: number;
  readonly seed: number;
  /** A server of its own, where it needs one. */
  readonly url?: string;
}

/** Runs `entry`, which posts what it found, with the edits made; for one file of tests, whose bundles are gone when it is over. */
export function hunting(entry: string): (edits: readonly Edit[], options: HuntOptions) => Promise<Found> {
  // Inside the project: the bundle asks for fast-check.
  const folder = mkdtempSync(join(ROOT, "node_modules", ".mutants-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return async (edits, options) => {
    let worker: Worker | undefined;
    let isOver = false;
    // Also where the time of the test is over: this call is still waiting then.
    onTestFinished(async () => {
      isOver = true;
      await worker?.terminate();
    });
    const file = join(folder, `${crypto.randomUUID()}.mjs`);
    await bundle(edits, file, entry);
    // In a thread: a defect may loop for ever, or throw where nobody catches.
    if (isOver) throw new Error("the test is over");
    const thread = worker = new Worker(file, { workerData: options });
    try {
      return await new Promise<Found>((resolve, reject) => {
        thread.once("message", resolve);
        thread.once("error", reject);
        thread.once("exit", (code) => reject(new Error(`the checker ended with code ${code}`)));
      });
    } finally {
      await thread.terminate();
    }
  };
}
