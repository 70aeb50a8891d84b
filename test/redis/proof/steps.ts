/**
 * Random steps of consumers as data. What a step picks from is only known when it is taken.
 *
 * @module
 */
import fc from "fast-check";

/** One step. `who`, `a`, `b` and `c` are picks. */
export interface Step {
  readonly kind: string;
  readonly who: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  /** Taken between the looks and the acts of a sweep, one before each. */
  readonly inside: readonly Step[];
}

type Weights = Readonly<Record<string, number>>;

/** Steps of ours alone. */
export const OURS: Weights = {
  publish: 14,
  claim: 20,
  claimUnanswered: 4,
  late: 5,
  renew: 6,
  ack: 3,
  back: 4,
  park: 4,
  several: 5,
  settleUnanswered: 3,
  repeat: 3,
  sweep: 14,
  crash: 2,
  time: 13,
  skew: 1,
};

/** kombu's between them. */
export const MIXED: Weights = {
  ...OURS,
  publish: 20,
  claim: 26,
  kombuPublish: 6,
  kombuPop: 12,
  kombuAppend: 14,
  kombuAck: 6,
  kombuReject: 5,
  kombuSweep: 3,
  kombuSlowSweep: 9,
  kombuClose: 2,
  kombuDie: 2,
};

/** What may come between the looks and the acts of a sweep. */
const SLOW: ReadonlySet<string> = new Set(["sweep", "kombuSlowSweep"]);

/** Sequences of them. */
export function stepsOf(
  weights: Weights,
  { shortest = 30, longest = 90 } = {},
): fc.Arbitrary<readonly Step[]> {
  const plain = (
    kinds: readonly (readonly [kind: string, weight: number])[],
  ): fc.Arbitrary<Omit<Step, "inside">> =>
    // Without fast-check's bias towards small numbers, which would pick the same few choices over and over.
    fc.noBias(fc.record({
      kind: fc.oneof(...kinds.map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) }))),
      who: fc.nat(999),
      a: fc.nat(9999),
      b: fc.nat(9999),
      c: fc.nat(9999),
    }));
  const all = Object.entries(weights);
  // A lease that is renewed or settled just then is what matters there.
  const between = all.filter(([kind]) => !SLOW.has(kind))
    .map(([kind, weight]) => [kind, /renew|ack|back|park|several/.test(kind) ? 3 * weight : weight] as const);
  const inner = fc.array(plain(between).map((step): Step => ({ ...step, inside: [] })), {
    maxLength: 6,
    size: "max",
  });
  const outer = plain(all).chain((step): fc.Arbitrary<Step> =>
    SLOW.has(step.kind) ? inner.map((inside) => ({ ...step, inside })) : fc.constant({ ...step, inside: [] })
  );
  return fc.array(outer, { minLength: shortest, maxLength: longest, size: "max" });
}
