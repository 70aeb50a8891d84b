/**
 * Chance by a seed.
 *
 * @module
 */
import fc from "fast-check";

/** Gives each of `all` once in a random order, then again in another one, without an end; and numbers. */
export interface Shuffled<T> extends Iterator<T, never> {
  /** From `min` to `max`, both included. */
  between(min: number, max: number): number;
}

/** See the type. */
export function shuffled<T>(all: readonly T[], seed: number): Shuffled<T> {
  const [numbers] = fc.sample(fc.infiniteStream(fc.noBias(fc.nat(2 ** 30))), { seed, numRuns: 1 });
  const draw = (): number => numbers?.next().value ?? 0;
  let bag: T[] = [];
  return {
    between: (min, max) => min + draw() % (max - min + 1),
    next: () => {
      if (bag.length === 0) bag = [...all];
      const [value] = bag.splice(draw() % bag.length, 1);
      return { done: false, value: value as T };
    },
  };
}
