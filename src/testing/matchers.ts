/**
 * The harness's assertions as matchers, for runners with an `expect` that can be extended: vitest, Bun, Jest.
 *
 * @module
 */
import type { Task, TaskArgs, TaskFunction } from "../producer/task.ts";
import { AssertionError } from "./assert.ts";
import { show } from "./difference.ts";
import type { Harness } from "./harness/contract.ts";
import type { Match } from "./harness/match.ts";

/**
 * What `expect(harness)` has once it is extended by {@link harnessMatchers}; `R` is what a matcher gives, for runners that say (Jest). A
 * runner's own type takes it by declaration merging, once a project:
 *
 * vitest
 * ```ts
 * declare module "vitest" {
 *   interface Matchers<T> extends HarnessMatchers {}
 * }
 * ```
 *
 * Bun
 * ```ts
 * declare module "bun:test" {
 *   interface Matchers<T> extends HarnessMatchers {}
 * }
 * ```
 */
export interface HarnessMatchers<R = void> {
  /**
   * The task was enqueued, with what `match` says. A failure tells what was enqueued, which is nearest, and what is different about it; one
   * of `.not` tells what should not be there.
   */
  toHaveEnqueued<F extends TaskFunction>(task: Task<string, F>, match?: Match<TaskArgs<F>>): R;
  /** As above, by name. */
  toHaveEnqueued(task: string, match?: Match): R;
  /** SUCCESS is stored of one call of the task; with `.not` of none. A failure tells what is stored of each call. */
  toHaveSucceeded<F extends TaskFunction>(task: Task<string, F>): R;
  /** SUCCESS is stored of this call: by its result, by what was enqueued, or by its id. */
  toHaveSucceeded(call: string | { readonly id: string }): R;
}

/** What a runner tells a matcher, as far as it is used. */
export interface MatcherContext {
  /** Whether it stands behind `.not`. */
  readonly isNot?: boolean;
}

/** What a matcher tells its runner. */
export interface MatcherResult {
  /** Whether it is so; behind `.not` the runner turns it over. */
  readonly pass: boolean;
  /** What to say where that is a failure. */
  message(): string;
  /** What was seen, for a runner that shows a diff of its own. */
  readonly actual?: unknown;
  /** What should have been. */
  readonly expected?: unknown;
}

/**
 * The matchers, for `expect.extend(harnessMatchers)`; see {@link HarnessMatchers} for what each says, and for the types. Nothing is
 * extended by importing them, and no runner is imported.
 *
 * Behind `expect` stands the harness itself; anything else throws `AssertionError`, with `.not` too.
 */
export const harnessMatchers: {
  toHaveEnqueued(
    this: MatcherContext | void,
    received: unknown,
    task: string | { readonly name: string },
    match?: Match,
  ): MatcherResult;
  toHaveSucceeded(
    this: MatcherContext | void,
    received: unknown,
    call: string | { readonly id: string } | { readonly name: string },
  ): MatcherResult;
} = {
  toHaveEnqueued(received, task, match = {}) {
    const harness = harnessOf(received, "toHaveEnqueued");
    const named = task as string;
    return judge(
      this,
      () => harness.assertEnqueued(named, match),
      () => harness.refuteEnqueued(named, match),
    );
  },
  toHaveSucceeded(received, call) {
    const harness = harnessOf(received, "toHaveSucceeded");
    const named = call as string;
    return judge(this, () => harness.assertSucceeded(named), () => harness.refuteSucceeded(named));
  },
};

/** Of the two assertions the one that is meant: only its failure counts as one that the test was told. */
function judge(context: MatcherContext | void, isSo: () => void, isNotSo: () => void): MatcherResult {
  const negated = context?.isNot === true;
  try {
    (negated ? isNotSo : isSo)();
  } catch (error) {
    if (!(error instanceof AssertionError)) throw error;
    const { message, actual, expected } = error;
    return { pass: negated, message: () => message, actual, expected };
  }
  return { pass: !negated, message: () => "It is as it should be." };
}

function harnessOf(received: unknown, matcher: string): Harness {
  const harness = received as Harness | null | undefined;
  if (typeof harness?.assertEnqueued === "function" && typeof harness.assertSucceeded === "function") {
    return harness;
  }
  throw new AssertionError(`expect(…).${matcher} takes a harness of createHarness, got ${show(received)}.`);
}
