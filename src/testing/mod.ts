/**
 * `celeriac/testing`: what tests of tasks and of adapters need, under any test runner.
 *
 * @example
 * ```ts
 * import { assert, AssertionError } from "celeriac/testing";
 *
 * try {
 *   assert.deepEqual({ state: "FAILURE" }, { state: "SUCCESS" }, "the task's end");
 * } catch (error) {
 *   if (error instanceof AssertionError) console.log(error.message);
 *   // the task's end: at state: expected "SUCCESS", got "FAILURE"
 * }
 * ```
 *
 * @module
 */
export { assert, AssertionError } from "./assert.ts";
export { exerciseBackend } from "./contract/backend.ts";
export { exerciseBroker } from "./contract/broker.ts";
export { picksOf } from "./simulator/prng.ts";

export type { Assert, AssertionDetails } from "./assert.ts";
export type { DeclareTest, Runner } from "./contract/runner.ts";
export type { BackendSubject, BrokerSubject, LinkFaults, ServerFaults } from "./contract/subject.ts";
