/**
 * How deliveries end, as a call of the settling script. Pure functions.
 *
 * @module
 */
import type { Settlement } from "../../../src/broker.ts";
import type { Argument } from "../client.ts";
import { flagged } from "../envelope.ts";
import type { ScriptCall } from "../scripts.ts";
import { type Claimed, seconds } from "./claim.ts";
import { type LeaseKeys, parkedTag, tailOf } from "./keys.ts";
import { SETTLE } from "./scripts.ts";

/** A delivery and how it ends. */
export interface Ending {
  readonly claimed: Claimed;
  /** An instant that is to be waited for lies ahead. */
  readonly how: { readonly as: "ack" } | { readonly as: "back" } | {
    readonly as: "park";
    readonly until: number;
    /** It has been in hand: it comes again as redelivered. What is put aside unread does not. */
    readonly returned: boolean;
  };
}

/** The set of a queue's parked messages outlives the last of them by this much, ms: nobody of ours may listen just then. */
const PARKED_MEMORY = 86_400_000;

/** What a settlement means at `now`; Redis has no dead letters, so that a rejected message is gone. */
export function endingOf(how: Settlement, now: number): Ending["how"] {
  if (how.as === "ack" || how.as === "reject") return { as: "ack" };
  const until = how.as === "park" ? how.until : how.notBefore;
  if (until === undefined || until <= now) return { as: "back" };
  return { as: "park", until, returned: how.as === "requeue" };
}

/** The script call; its answer has a 1 for each that was still ours, else 0. */
export function settleCall(keys: LeaseKeys, endings: readonly Ending[], now: number): ScriptCall {
  return {
    script: SETTLE,
    keys: [keys.unacked, keys.index],
    args: endings.flatMap((ending) => argumentsOf(keys, ending, now)),
  };
}

function argumentsOf(
  keys: LeaseKeys,
  { claimed: { tag, queue, step, text }, how }: Ending,
  now: number,
): readonly Argument[] {
  if (how.as === "ack") return ["ack", tag];
  if (how.as === "back") return ["back", tag, keys.list(queue, step), tailOf(queue), flagged(text)];
  const { until, returned } = how;
  return [
    ...["park", tag, parkedTag(tag, step), seconds(until), keys.parked(queue)],
    ...[Math.ceil(until - now) + PARKED_MEMORY, tailOf(queue), returned ? flagged(text) : ""],
  ];
}

/** The weight of it in characters. */
export function weightOf({ claimed, how }: Ending): number {
  return claimed.tag.length + (how.as === "ack" ? 0 : claimed.text.length);
}

/** What gives these back, so that they stand at the front of their lists in the order given. */
export function givenBack(claimed: readonly Claimed[]): Ending[] {
  return claimed.toReversed().map((one) => ({ claimed: one, how: { as: "back" } }));
}
