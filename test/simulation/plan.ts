/**
 * A simulated run as data: who sends what and when, who works, what goes wrong, and in which order things happen. It shrinks to less of each.
 *
 * @module
 */
import * as fc from "fast-check";
import type { Point } from "../../src/worker/probe.ts";

/** The kinds of task. */
export const KINDS = [
  "early",
  "late",
  "early.fails",
  "late.fails",
  "late.rejects",
  "late.silent",
  "late.linked",
  "early.linked",
  "late.once",
  "early.heeds",
  "late.heeds",
  "early.retries",
  "late.retries",
  "early.autoretries",
  "late.autoretries",
] as const;

/** One call. Times are ms since the start. */
export interface Send {
  readonly at: number;
  readonly kind: typeof KINDS[number];
  readonly queue: number;
  /** How long the task runs, ms; 0 is at once. */
  readonly takes: number;
  /** ms; 0 is none. */
  readonly countdown: number;
  /** ms; 0 is never. */
  readonly expires: number;
  /** Whether the caller takes the risk of a double for an unknown publish. */
  readonly insists: boolean;
}

/** One worker. */
export interface Hand {
  readonly from: number;
  readonly queues: readonly number[];
  readonly concurrency: number;
  readonly multiplier: number;
  /** When it is stopped, to start again a little later; 0 is at the end. */
  readonly stops: number;
  /** How many events of the same instant come before the stop. */
  readonly hops: number;
  /** How it is stopped. @default "warm" */
  readonly how?: "warm" | "cold";
}

/** Points at which a worker can die. */
export const POINTS: readonly Point[] = [
  "accepted",
  "started",
  "ended",
  "followed",
  "stored",
  "beforeSettle",
  "afterSettle",
];

/**
 * What goes wrong. `node` counts the nodes from the client, 0; one beyond the last is all of them. `lasts` in ms. `hops`: how many events of
 * the same instant come before.
 */
export type Mishap =
  & { readonly at: number; readonly hops: number; readonly node: number }
  & (
    | { readonly what: "cut" | "freeze" | "backendDown" | "scatterConfirms"; readonly lasts: number }
    | { readonly what: "loseAck" | "loseConfirm" | "loseDelivery" | "duplicate" }
    | { readonly what: "drop"; readonly flushed: boolean }
    | { readonly what: "refuse"; readonly count: number }
    | { readonly what: "restart"; readonly dirty: boolean }
    | { readonly what: "skew"; readonly ms: number }
    | {
      readonly what: "kill";
      readonly point: Point | undefined;
      readonly after: number;
      readonly unsent: "arrives" | "lost";
    }
  );

/** A whole run. */
export interface Plan {
  readonly seed: number;
  readonly sends: readonly Send[];
  readonly hands: readonly Hand[];
  readonly mishaps: readonly Mishap[];
  readonly picks: readonly number[];
  /** Whether the client's confirms come in any order, and several in one word. */
  readonly scatters: boolean;
}

export const QUEUES = 3;

/** The load and the faults are over by then, ms. */
export const SPAN = 3000;

const STEP = 100;
const BURST = 500;

/** Coarse grids: things coincide, and the picks say in which order they happen. */
function instant(longest = SPAN): fc.Arbitrary<number> {
  const on = (step: number): fc.Arbitrary<number> =>
    fc.integer({ min: 0, max: Math.floor(longest / step) }).map((count) => count * step);
  return longest < BURST ? on(STEP) : fc.oneof(on(STEP), on(BURST));
}

function rarely<T>(value: fc.Arbitrary<T>, otherwise: T, oneIn = 4): fc.Arbitrary<T> {
  return fc.oneof({ arbitrary: fc.constant(otherwise), weight: oneIn - 1 }, { arbitrary: value, weight: 1 });
}

const send: fc.Arbitrary<Send> = fc.record({
  at: instant(),
  kind: fc.constantFrom(...KINDS),
  queue: fc.nat(QUEUES - 1),
  takes: instant(400),
  countdown: rarely(instant(4000), 0),
  expires: rarely(instant(2000), 0, 8),
  insists: rarely(fc.constant(true), false, 8),
});

const hops = fc.nat(12);

const hand: fc.Arbitrary<Hand> = fc.record({
  from: rarely(instant(), 0),
  queues: fc.subarray([0, 1, 2], { minLength: 1 }),
  concurrency: fc.integer({ min: 1, max: 4 }),
  multiplier: fc.integer({ min: 1, max: 2 }),
  stops: rarely(instant(), 0),
  hops,
  how: rarely(fc.constant("cold" as const), "warm"),
});

const node = fc.nat(5);
const lasts = instant(1000);

const mishap: fc.Arbitrary<Mishap> = fc.oneof(
  fc.record({
    what: fc.constantFrom(
      "cut" as const,
      "freeze" as const,
      "backendDown" as const,
      "scatterConfirms" as const,
    ),
    at: instant(),
    hops,
    node,
    lasts,
  }),
  fc.record({
    what: fc.constantFrom(
      "loseAck" as const,
      "loseConfirm" as const,
      "loseDelivery" as const,
      "duplicate" as const,
    ),
    at: instant(),
    hops,
    node,
  }),
  fc.record({ what: fc.constant("drop" as const), at: instant(), hops, node, flushed: fc.boolean() }),
  fc.record({
    what: fc.constant("refuse" as const),
    at: instant(),
    hops,
    node,
    count: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ what: fc.constant("restart" as const), at: instant(), hops, node, dirty: fc.boolean() }),
  fc.record({
    what: fc.constant("skew" as const),
    at: instant(),
    hops,
    node,
    ms: fc.integer({ min: -5000, max: 5000 }),
  }),
  fc.record({
    what: fc.constant("kill" as const),
    at: instant(),
    hops,
    node: fc.integer({ min: 1, max: 4 }),
    point: fc.option(fc.constantFrom(...POINTS), { nil: undefined }),
    after: fc.nat(2),
    unsent: fc.constantFrom("arrives" as const, "lost" as const),
  }),
);

/** Any run. */
export const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(),
  scatters: fc.boolean(),
  sends: fc.array(send, { minLength: 1, maxLength: 30 }),
  hands: fc.array(hand, { minLength: 1, maxLength: 4 }),
  mishaps: fc.array(mishap, { maxLength: 8 }),
  // Half of them let the oldest event go first.
  picks: fc.array(fc.oneof(fc.constant(0), fc.nat(63)), { maxLength: 400 }),
});
