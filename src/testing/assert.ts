/**
 * Assertions that need no test runner: plain functions that throw `AssertionError`.
 *
 * @module
 */
import { difference } from "./difference.ts";

/** What was seen and what was expected; a runner that knows the two fields shows a diff of its own. */
export interface AssertionDetails {
  /** What was seen. */
  readonly actual?: unknown;
  /** What should have been. */
  readonly expected?: unknown;
  /** The error underneath. */
  readonly cause?: unknown;
}

/** An assertion did not hold. Named as Node's, chai's and Deno's are, so that every runner takes it for a failure and not for a crash. */
export class AssertionError extends Error {
  /** The name of the class, written out: a minifier renames classes. */
  override name = "AssertionError";

  /** What was seen. */
  readonly actual: unknown;
  /** What should have been. */
  readonly expected: unknown;
  /** Node's code for it. */
  readonly code = "ERR_ASSERTION";

  /** `message` says both by itself. */
  constructor(message: string, details: AssertionDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.actual = details.actual;
    this.expected = details.expected;
  }
}

/** The assertions that the contract suites ask for: those of `node:assert/strict`, chai's `assert` and {@link assert} all do. */
export interface Assert {
  /** Throws unless `value` is truthy. */
  ok(value: unknown, message: string): void;
  /** Throws unless the two are deeply and strictly equal. */
  deepEqual(actual: unknown, expected: unknown, message: string): void;
}

/** The package's own assertions: they throw {@link AssertionError}, whose message says what was expected and what was seen. */
export const assert: Assert = {
  ok(value, message) {
    if (!value) throw new AssertionError(message, { actual: value, expected: true });
  },
  deepEqual(actual, expected, message) {
    const found = difference(actual, expected);
    if (found !== undefined) throw new AssertionError(`${message}: ${found}`, { actual, expected });
  },
};
