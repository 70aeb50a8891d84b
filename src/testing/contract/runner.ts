/**
 * What a suite asks of a test runner.
 *
 * @module
 */
import type { Assert } from "../assert.ts";

/**
 * Declares one test: what `test` of vitest, node:test, bun:test and Jest, and `Deno.test`, have in common. Tests declared one after the
 * other are expected to run one after the other.
 */
export type DeclareTest = (name: string, run: () => Promise<void>) => unknown;

/** Where the tests of a suite go, and how they judge. */
export interface Runner {
  /** The runner's own `test`. A runner with a short time limit (bun:test: 5 s) gets a wrapper that says a longer one. */
  readonly test: DeclareTest;
  /**
   * `node:assert/strict`, chai's `assert`, or the like.
   *
   * @default the package's own
   */
  readonly assert?: Assert;
}
