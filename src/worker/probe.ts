/**
 * A look into a worker at the named points of a task's way, for what tests it: nothing of it is there unless it was asked for.
 *
 * @module
 */
import type { Delivery } from "../broker.ts";
import type { Outcome } from "./outcome.ts";

/**
 * Where a task can be when its worker dies. `accepted`: it has its slot, and under early ack its ack has left. `started`: it runs next.
 * `ended`: it has run. `followed`: what comes after it is published. `stored`: its result is stored. `beforeSettle` and `afterSettle`: its
 * late ack is sent next, was sent.
 */
export type Point =
  | "accepted"
  | "started"
  | "ended"
  | "followed"
  | "stored"
  | "beforeSettle"
  | "afterSettle";

/** What a probe sees of a task in hand. */
export interface Passing {
  readonly delivery: Delivery;
  readonly message: { readonly id: string };
  readonly task: { readonly name: string };
  readonly acksLate: boolean;
  readonly outcome: Outcome | undefined;
}

/** Who looks. */
export interface Probe {
  /** A task is at this point. True: its worker died here, and nothing of the task goes on. */
  at(point: Point, passing: Passing): boolean;
  /** A message is not run: its time is over, or the worker cannot or must not take it. */
  dismissed(delivery: Delivery, why: string): void;
  /** The worker waits for the task no longer: it goes back to its queue, or is lost. */
  abandoned?(passing: Passing): void;
  /** Whether time alone would end, or ask to end, the run of this task: it has a limit that is not reached. */
  limited?(id: string, isLimited: boolean): void;
  /** The worker heard that these tasks are revoked. */
  revoked?(ids: readonly string[]): void;
  /** The compressed body of a message is being read, until the promise resolves. */
  reading?(read: Promise<void>): void;
}

/** Under it the options of a worker carry a probe. */
const PROBE = Symbol("probe");

/** The options of a worker, with a probe among them. */
export function withProbe<O extends object>(options: O, probe: Probe): O {
  return { ...options, [PROBE]: probe };
}

/** The probe among the options, if there is one. */
export function probeOf(options: object): Probe | undefined {
  return (options as { readonly [PROBE]?: Probe })[PROBE];
}
