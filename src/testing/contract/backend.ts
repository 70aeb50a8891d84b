/**
 * The contract suite for result backends: one named test for each promise of `src/backend.ts`.
 *
 * @module
 */
import { Archive, type BackendSuite } from "./backend/archive.ts";
import { factsTests } from "./backend/facts.ts";
import { lossTests, reachTests } from "./backend/loss.ts";
import { storeTests } from "./backend/store.ts";
import { watchTests } from "./backend/watch.ts";
import { Check } from "./check.ts";
import type { Runner } from "./runner.ts";
import type { BackendSubject } from "./subject.ts";
import { trial } from "./trial.ts";

/**
 * Declares the tests of the backend contract, `runner.test` once for each promise. Their names begin with the part of the contract
 * ("watch: …"), and are unique. Each uses ids of its own and forgets them when it ends. They must run one after the other where
 * `subject.link` is given, since that cuts the links of all.
 *
 * @example
 * ```ts
 * import { test } from "node:test";
 * import { memoryBackend } from "celeriac/memory";
 * import { exerciseBackend } from "celeriac/testing";
 *
 * const backend = memoryBackend();
 *
 * exerciseBackend({
 *   make: () => backend, // a backend in memory is all that can see its results
 *   features: { push: true, chord: "unlock", shared: true },
 *   facts: true,
 *   shortestTtl: 40,
 * }, { test });
 * ```
 */
export function exerciseBackend(subject: BackendSubject, runner: Runner): void {
  const check = new Check(runner.assert);
  const suite = (part: string): BackendSuite => ({
    subject,
    check,
    test: (name, run) => void runner.test(`${part}: ${name}`, () => trial(new Archive(subject, check), run)),
  });
  storeTests(suite("store"));
  watchTests(suite("watch"));
  if (subject.facts) factsTests(suite("facts"));
  if (subject.link !== undefined) lossTests(suite("loss"), subject.link);
  if (subject.unreachable !== undefined) reachTests(suite("reach"), subject.unreachable);
}
