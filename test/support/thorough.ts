/**
 * How often what is repeated many times is repeated here: the one place that decides.
 *
 * @module
 */
import { inject } from "vitest";

/** What the runtimes beside Node repeat, of what Node does: the code is the same, what may differ shows itself soon. `npm test` prints it. */
export const PART = 0.25;

/** All of `count` on Node, a part of it elsewhere, rounded up to a multiple of `step`. */
export function often(count: number, step = 1): number {
  return inject("runtime") === "node" ? count : Math.ceil(count * PART / step) * step;
}
