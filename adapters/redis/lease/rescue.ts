/**
 * What becomes of entries that nobody works on any more: decided from their texts alone. Pure functions.
 *
 * @module
 */
import { decodeJson } from "../../../src/protocol/json.ts";
import { writeJson } from "../../../src/protocol/json-writer.ts";
import { flagged, readEnvelope } from "../envelope.ts";
import { SEPARATOR, stepIndex } from "../kombu.ts";
import { isReserved } from "../reserved.ts";
import type { ScriptCall } from "../scripts.ts";
import { ownEntry, seconds } from "./claim.ts";
import { isParked, type LeaseKeys, tailOf } from "./keys.ts";
import { RESTORE } from "./scripts.ts";

/** An entry as it was seen. */
export interface Seen {
  readonly tag: string;
  /** As Redis wrote it. */
  readonly instant: string;
  /** Null for a tag that has none. */
  readonly entry: string | null;
}

/** What an entry says. */
export interface Held {
  /** The envelope. */
  readonly text: string;
  readonly exchange: string;
  readonly routingKey: string;
  /** What stands behind the envelope, where that is known. */
  readonly tail: string;
}

/** Where it goes. */
export interface Rescue extends Seen {
  /** The beat that must be gone; "" for none. */
  readonly beat: string;
  readonly held: Held | undefined;
  readonly queues: readonly string[];
}

/** Reads an entry: ours, or kombu's `[message, exchange, routing key]`; undefined for anything else. */
export function readEntry(entry: string): Held | undefined {
  const own = ownEntry(entry);
  if (own !== undefined) {
    return { text: own.text, exchange: "", routingKey: own.queue, tail: tailOf(own.queue) };
  }
  try {
    const [message, exchange, routingKey] = decodeJson(entry, { exact: true }) as unknown[];
    if (typeof message !== "object" || typeof exchange !== "string") return undefined;
    return { text: writeJson(message), exchange, routingKey: String(routingKey ?? ""), tail: "" };
  } catch {
    return undefined;
  }
}

/**
 * The queues that kombu's `_lookup` finds for a message: that of the key itself for the exchange "", else those whose binding takes the key.
 * `bindings` are the members of the exchange's set. A reserved name is no queue.
 */
export function queuesOf({ exchange, routingKey }: Held, bindings: readonly string[]): string[] {
  const found = exchange === "" ? [routingKey] : bindings.flatMap((member) => {
    const [key = "", pattern = "", queue = ""] = member.split(SEPARATOR);
    const hit = pattern === "" ? key === routingKey : matches(pattern, routingKey);
    return hit ? [queue] : [];
  });
  return [...new Set(found)].filter((queue) => queue !== "" && !isReserved(queue));
}

/** The script call that puts these back; the one that is to be served first comes last. */
export function restoreCall(keys: LeaseKeys, rescues: readonly Rescue[], now: number): ScriptCall {
  return {
    script: RESTORE,
    keys: [keys.unacked, keys.index],
    args: [
      seconds(now),
      ...rescues.flatMap(({ tag, instant, beat, held, queues }) => {
        const step = held === undefined ? 0 : stepIndex(readEnvelope(held.text).route.priority);
        // What waited was in nobody's hands; what cannot be flagged goes back as it is stored, too, if it is known where it ends.
        const text = held === undefined || (isParked(tag) && held.tail !== "") ? "" : flagged(held.text);
        const lists = text === "" && held?.tail === "" ? [] : queues;
        return [
          ...[tag, instant, beat, lists.length],
          ...lists.flatMap((queue) => [keys.list(queue, step), held?.tail ?? "", text]),
        ];
      }),
    ],
  };
}

/** Python's regular expression, which is JavaScript's for all that kombu writes. */
function matches(pattern: string, routingKey: string): boolean {
  try {
    return new RegExp(pattern).test(routingKey);
  } catch {
    return false;
  }
}
