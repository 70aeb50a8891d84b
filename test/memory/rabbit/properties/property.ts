/**
 * What the properties of the reducer have in common.
 *
 * @module
 */
import fc from "fast-check";
import { Coverage } from "../../../support/coverage.ts";

/** A named property: `npm test` runs each some hundred times, `npm run test:long` many thousand times. */
export interface Property {
  readonly name: string;
  readonly statement: string;
  /** What has to occur, or nothing was shown. */
  readonly classes: readonly string[];
  /** What may occur. */
  readonly optional?: readonly string[];
  readonly property: (cover: Coverage) => fc.IPropertyWithHooks<unknown>;
}

export function coverageOf({ name, classes, optional }: Property): Coverage {
  return new Coverage(name, classes, optional);
}

/** Throws with seed and path when it fails. */
export function check(
  { property }: Property,
  cover: Coverage,
  options: { readonly runs: number; readonly seed?: number; readonly path?: string },
): void {
  const { runs, ...where } = options;
  fc.assert(property(cover), { numRuns: runs, ...where });
  cover.runs += runs;
}

/** A test framework's own comparison is too slow for what is looked at after every step. */
export function same(what: string, actual: unknown, wanted: unknown): void {
  if (!Object.is(actual, wanted)) throw new Error(`${what}: ${String(actual)}, and not ${String(wanted)}`);
}

/** The same for data. */
export function alike(what: string, actual: unknown, wanted: unknown): void {
  same(what, JSON.stringify(actual), JSON.stringify(wanted));
}
