/**
 * The queues of a consumer: what each of them holds, and which the server refuses for now.
 *
 * @module
 */
import { type Deferred, deferred } from "../../../src/lib/deferred.ts";
import { share, type Want } from "./claim.ts";
import type { LeaseKeys } from "./keys.ts";

/** One queue. Instants are ms since the epoch. */
export interface Tap {
  readonly queue: string;
  /** What changes when there is something to claim. */
  readonly keys: readonly string[];
  /** Whether it stays where the server refuses it before it was ever looked at: nobody waits for the word on it. */
  readonly stays: boolean;
  /** Looked at since the server last refused it. */
  ready: Deferred<void>;
  /** Claimed and not settled. */
  held: number;
  /** Refused, and left alone until then; else 0. */
  refused: number;
  /** When it was last looked at; 0 for never. */
  alive: number;
}

/** How long a queue that is refused is left alone, ms: rights are given by hand. */
const ALONE = 15_000;

/** See the module. */
export class Taps {
  readonly #keys: LeaseKeys;
  readonly #taps: Map<string, Tap> = new Map();

  constructor(keys: LeaseKeys) {
    this.#keys = keys;
  }

  get all(): readonly Tap[] {
    return [...this.#taps.values()];
  }

  get(queue: string): Tap | undefined {
    return this.#taps.get(queue);
  }

  open(queue: string, stays: boolean): Tap {
    const keys = [this.#keys.parked(queue), ...this.#keys.lists(queue)];
    const tap = { queue, keys, stays, ready: awaited(), held: 0, refused: 0, alive: 0 };
    this.#taps.set(queue, tap);
    return tap;
  }

  /** Takes it out; whoever waits for it is told why. */
  close(queue: string, why: Error): void {
    this.#taps.get(queue)?.ready.reject(why);
    this.#taps.delete(queue);
  }

  /** Those that are not left alone; from another one on each turn, as one answer may not hold all. */
  asked(turn: number, now: number): readonly Tap[] {
    const all = this.all.filter(({ refused }) => refused <= now);
    const at = turn % all.length;
    return [...all.slice(at), ...all.slice(0, at)];
  }

  /** The server refuses this one. Until when it is left alone; undefined where it is gone, as who wanted it was told. */
  refuse(tap: Tap, why: Error, now: number): number | undefined {
    if (tap.alive === 0 && !tap.stays) {
      this.close(tap.queue, why);
      return undefined;
    }
    tap.ready.reject(why);
    tap.ready = awaited();
    return tap.refused = now + ALONE;
  }
}

/** The server looked at these. */
export function looked(taps: readonly Tap[], now: number): void {
  for (const tap of taps) {
    tap.refused = 0;
    tap.alive = now;
    tap.ready.resolve();
  }
}

/** How many more of its messages may be held. */
export function roomOf({ held }: Tap, prefetch: number): number {
  return prefetch === 0 ? Infinity : prefetch - held;
}

/** What there is room for. */
export function wantsOf(taps: readonly Tap[], prefetch: number): Want[] {
  return share(new Map(taps.map((tap) => [tap.queue, roomOf(tap, prefetch)])));
}

/** Nobody needs to wait for it. */
function awaited(): Deferred<void> {
  const ready = deferred<void>();
  ready.promise.catch(() => {});
  return ready;
}
