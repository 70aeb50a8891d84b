/**
 * `celeriac/testing`: what tests of tasks and of adapters need, under any test runner.
 *
 * @example
 * ```ts
 * import { Celery } from "celeriac";
 * import { createHarness } from "celeriac/testing";
 *
 * const app = new Celery("sums");
 * const add = app.task("tasks.add", { params: ["x", "y"] }, (x: number, y: number): number => x + y);
 *
 * await using harness = await createHarness(app);
 * const result = await add.applyAsync([2, 3], { countdown: "1h" });
 * harness.assertEnqueued(add, { args: [2, 3], countdown: "1h" });
 * await harness.advance("1h");
 * console.log(await result.get()); // 5
 * ```
 *
 * @module
 */
export { assert, AssertionError } from "./assert.ts";
export { check } from "./check.ts";
export { exerciseBackend } from "./contract/backend.ts";
export { exerciseBroker } from "./contract/broker.ts";
export { createHarness } from "./harness/harness.ts";
export { harnessMatchers } from "./matchers.ts";
export { History } from "./history.ts";
export { picksOf } from "./simulator/prng.ts";

export type { Assert, AssertionDetails } from "./assert.ts";
export type { CheckOptions, Report } from "./check.ts";
export type { DeclareTest, Runner } from "./contract/runner.ts";
export type { BackendSubject, BrokerSubject, LinkFaults, ServerFaults } from "./contract/subject.ts";
export type { DropOptions, Faults, KillOptions, RestartOptions } from "./faults/faults.ts";
export type { DrainReport, Harness, HarnessWorker } from "./harness/contract.ts";
export type { Match } from "./harness/match.ts";
export type { HarnessOptions } from "./harness/options.ts";
export type { Attempt, Outcome, Sighting, Sightings } from "./harness/outcome.ts";
export type { Enqueued } from "./harness/sent.ts";
export type { Call } from "./harness/succeeded.ts";
export type { HarnessMatchers, MatcherContext, MatcherResult } from "./matchers.ts";
export type {
  AbandonedEntry,
  DeliveredEntry,
  DismissedEntry,
  EndedEntry,
  Entry,
  FaultEntry,
  LinkEntry,
  LostEntry,
  NewEntry,
  OfDelivery,
  OfTask,
  PassedEntry,
  PublishedEntry,
  RevokedEntry,
  Seen,
  SentEntry,
  SettledEntry,
  SettlingEntry,
  StoredEntry,
  StoringEntry,
  ToldEntry,
  Unplaced,
  VerdictEntry,
  WindowEntry,
  WorkerEntry,
} from "./entry.ts";
export type { HistoryOptions, Numbered } from "./history.ts";
export type { Point } from "../worker/probe.ts";
export type { Violation } from "./invariants/past.ts";
