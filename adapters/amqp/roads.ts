/**
 * Where to connect to, and how.
 *
 * @module
 */
import type { CallSettings, Settings } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { Target, Targets } from "./url.ts";
import type { Dial, Sink } from "./wire.ts";

/** The ways to a broker. Holds nothing that lives. */
export interface Roads<Out extends Sink = Outbox, About extends CallSettings = Settings> {
  readonly targets: Targets;
  readonly dial: Dial<Target, Out>;
  readonly settings: About;
  /** Counts the failures: the turn goes to the next URL with each. */
  turn: number;
}

/** The URLs without secrets. */
export function addressOf({ targets }: { readonly targets: Targets }): string {
  return targets.map(({ address }) => address).join(";");
}

/** The target whose turn it is. */
export function nextOf({ targets, turn }: { readonly targets: Targets; readonly turn: number }): Target {
  return targets[turn % targets.length] as Target;
}
