/**
 * The assertions of the suites: whatever `assert` is given, a failure says what was expected and what was seen.
 *
 * @module
 */
import { type Assert, assert as own, AssertionError } from "../assert.ts";
import { difference, show } from "../difference.ts";

/** The form of every error code. */
const CODE = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** Asserts by an `Assert`, with sentences of its own. */
export class Check {
  readonly #assert: Assert;

  constructor(assert: Assert = own) {
    this.#assert = assert;
  }

  /** `message` says what was expected and seen. */
  ok(value: unknown, message: string): void {
    this.#assert.ok(value, message);
    if (!value) throw new AssertionError(message, { actual: value, expected: true });
  }

  /** Deeply equal. `what` names what is compared. */
  equal(actual: unknown, expected: unknown, what: string): void {
    const found = difference(actual, expected);
    // Ours says both by itself, Node's says nothing but the message that it is given.
    const message = found === undefined || this.#assert === own ? what : `${what}: ${found}`;
    this.#assert.deepEqual(actual, expected, message);
    // Some are content with less, such as 1 for "1".
    if (found !== undefined) throw new AssertionError(`${what}: ${found}`, { actual, expected });
  }

  /** Those properties of `actual` that `expected` names. */
  has(actual: unknown, expected: Readonly<Record<string, unknown>>, what: string): void {
    const part = typeof actual !== "object" || actual === null
      ? actual
      : Object.fromEntries(Object.keys(expected).map((key) => [key, Reflect.get(actual, key) as unknown]));
    this.equal(part, expected, what);
  }

  /** The very same value. */
  same(actual: unknown, expected: unknown, what: string): void {
    this.ok(
      Object.is(actual, expected),
      `${what}: expected this very ${show(expected)}, got ${show(actual)}`,
    );
  }

  matches(actual: string, pattern: RegExp, what: string): void {
    this.ok(pattern.test(actual), `${what}: expected a match of ${pattern}, got ${show(actual)}`);
  }

  /** A number within bounds, both included. */
  between(actual: number, least: number, most: number, what: string): void {
    this.ok(actual >= least && actual <= most, `${what}: expected ${least} to ${most}, got ${actual}`);
  }

  /** Fails, now or later; gives what it failed with. */
  async rejects(action: () => unknown, what: string): Promise<unknown> {
    let value: unknown;
    try {
      value = await action();
    } catch (error) {
      this.ok(true, what);
      return error;
    }
    throw new AssertionError(`${what}: expected an error, got ${show(value)}`, { actual: value });
  }

  /** Fails with an error that has a stable code; with this one, where one is named. */
  async coded(action: () => unknown, what: string, code?: string): Promise<void> {
    const error = await this.rejects(action, what);
    const got = (error as { readonly code?: unknown } | undefined)?.code;
    const good = code === undefined ? typeof got === "string" && CODE.test(got) : got === code;
    const wanted = code === undefined ? "a code in kebab-case" : `the code ${show(code)}`;
    this.ok(good, `${what}: expected an error with ${wanted}, got ${show(error)} with ${show(got)}`);
  }
}
