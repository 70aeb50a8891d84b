/**
 * What a claim asks for and what its answer holds. Pure functions.
 *
 * @module
 */
import { readEnvelope } from "../envelope.ts";
import { stepIndex, STEPS } from "../kombu.ts";
import type { ScriptCall } from "../scripts.ts";
import { type LeaseKeys, stemOf, tagOf, tailOf } from "./keys.ts";
import { CLAIM } from "./scripts.ts";

/** Messages of one claim: a script blocks the server while it runs. */
export const MOST = 500;

/** Characters of one claim, and one message more. */
const ROOM = 4 * 1024 * 1024;

/** A queue, and how many messages of it may be taken. */
export interface Want {
  readonly queue: string;
  readonly most: number;
}

/** Who claims. Durations are ms. */
export interface Claimant {
  readonly id: string;
  /** How long it counts as alive after each word of it. */
  readonly consumerTimeout: number;
}

/** A message that is ours until it is settled or its lease is lost. */
export interface Claimed {
  readonly tag: string;
  readonly queue: string;
  /** Which of the four lists it came from. */
  readonly step: number;
  /** The envelope. */
  readonly text: string;
}

/** What a claim brought. */
export interface Claim {
  readonly claimed: readonly Claimed[];
  /** The number of the next claim's first message. */
  readonly next: number;
  /** When the next parked message of these queues is due, ms since the epoch; undefined for never. */
  readonly due: number | undefined;
}

/** The fleet outlives its members by this much, ms. */
export const FLEET_MEMORY = 86_400_000;

/** Instants are kept in s, as kombu does. */
export function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

/** The script call. `wants` in all is not more than {@link MOST}; `first` is the number of the first message that it may take. */
export function claimCall(
  keys: LeaseKeys,
  { id, consumerTimeout }: Claimant,
  wants: readonly Want[],
  first: number,
  now: number,
): ScriptCall {
  return {
    script: CLAIM,
    keys: [
      ...[keys.unacked, keys.index, keys.beat(id), keys.fleet],
      ...wants.flatMap(({ queue }) => [keys.parked(queue), ...keys.lists(queue)]),
    ],
    args: [
      ...[seconds(now), consumerTimeout, consumerTimeout + FLEET_MEMORY, id, stemOf(id), first, ROOM, MOST],
      ...wants.flatMap(({ queue, most }) => [tailOf(queue), most]),
    ],
  };
}

/**
 * How many messages to take of each queue: what its window has free, an even share of {@link MOST} at the most. `free` is at least 0;
 * Infinity for no bound.
 */
export function share(free: ReadonlyMap<string, number>): Want[] {
  const open = [...free].filter(([, count]) => count > 0);
  const most = Math.max(1, Math.floor(MOST / Math.max(1, open.length)));
  return open.slice(0, MOST).map(([queue, count]) => ({ queue, most: Math.min(count, most) }));
}

/** The answer of {@link claimCall}; undefined where it is none. */
export function readClaim(
  answer: unknown,
  id: string,
  wants: readonly Want[],
  first: number,
): Claim | undefined {
  if (!Array.isArray(answer)) return undefined;
  const [next, due, ...items] = answer as unknown[];
  const number = Number(next);
  if (!Number.isSafeInteger(number) || number < first) return undefined;
  const claimed: Claimed[] = [];
  for (let at = 0; at < items.length;) {
    const list = Number(items[at]);
    if (list >= 0) {
      const queue = wants[Math.floor(list / STEPS.length)]?.queue;
      if (queue === undefined) return undefined;
      const tag = tagOf(id, first + claimed.length);
      claimed.push({ tag, queue, step: list % STEPS.length, text: String(items[at + 1]) });
      at += 2;
    } else {
      const entry = ownEntry(String(items[at + 2]));
      if (entry !== undefined) {
        const step = stepIndex(readEnvelope(entry.text).route.priority);
        claimed.push({ tag: tagOf(id, Number(items[at + 1])), ...entry, step });
      }
      at += 3;
    }
  }
  const soonest = due === "" || due === undefined ? Number.NaN : Number(due) * 1000;
  return { claimed: inTurns(claimed), next: number, due: Number.isFinite(soonest) ? soonest : undefined };
}

/** The message and queue of an entry that we wrote, whatever the message is. */
export function ownEntry(entry: string): { readonly text: string; readonly queue: string } | undefined {
  // In the queue's name a quote has a backslash before it.
  const at = entry.lastIndexOf(NOWHERE);
  if (at < 1 || !entry.startsWith("[")) return undefined;
  try {
    const queue: unknown = JSON.parse(entry.slice(at + NOWHERE.length - 1, -1));
    return typeof queue === "string" ? { text: entry.slice(1, at), queue } : undefined;
  } catch {
    return undefined;
  }
}

/** The exchange of our entries, and the quote that opens the queue's name. */
const NOWHERE = ',"","';

/** Within a step of priority the queues take turns, so that a busy one does not stand before the others. */
function inTurns(claimed: readonly Claimed[]): Claimed[] {
  const turns = new Map<string, number>();
  const placed = claimed.map((one) => {
    const key = `${one.step} ${one.queue}`;
    const turn = turns.get(key) ?? 0;
    turns.set(key, turn + 1);
    return { one, turn };
  });
  // The sort is stable: queues stand in the order in which they were asked.
  return placed.sort((a, b) => a.one.step - b.one.step || a.turn - b.turn).map(({ one }) => one);
}
