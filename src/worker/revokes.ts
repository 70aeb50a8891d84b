/**
 * Which tasks are revoked, as far as one worker knows: what it heard itself, and what the backend keeps (celery/worker/state.py).
 *
 * @module
 */
import type { Facts } from "../backend.ts";
import type { Clock } from "../lib/port.ts";
import type { Logger } from "../lib/logger.ts";
import { revokeFact, type StampedHeaders, stampFact, stampsOf } from "../result/revoke.ts";
import { inTime } from "./in-time.ts";
import { exceptionRepr, printable } from "./lines.ts";
import { LimitedSet } from "./limited-set.ts";
import { failed } from "./outcome.ts";

/** Celery's `REVOKES_MAX` and `REVOKE_EXPIRES`; there stamps have no bound at all. */
const BOUNDS = { most: 50_000, ttl: 10_800_000 };

/** Stamps of one message that are looked at, and that are asked for: a sender must not make a message dear. */
const MOST_STAMPS = 1000;
const MOST_ASKED = 32;

/** What of a message says whether it is revoked. */
export interface Revocable {
  readonly id: string;
  readonly stampedHeaders: readonly string[] | null;
  readonly stamps: Readonly<Record<string, unknown>>;
}

/** A task is revoked, by its id or by this stamp. */
export interface Revoked {
  readonly stamp: string | undefined;
}

/** What a worker's revokes need. */
export interface RevokesParts {
  readonly clock: Pick<Clock, "elapsed" | "after">;
  readonly logger: Logger;
  /** Where the backend keeps small facts; undefined where it does not. */
  facts(): Facts | undefined;
}

/** The revokes of one worker. */
export class Revokes {
  readonly #parts: RevokesParts;
  readonly #ids: LimitedSet = new LimitedSet(BOUNDS);
  readonly #stamps: LimitedSet = new LimitedSet(BOUNDS);

  constructor(parts: RevokesParts) {
    this.#parts = parts;
  }

  /** The ids that are revoked, oldest first. */
  get ids(): readonly string[] {
    this.#ids.purge(this.#now);
    return [...this.#ids];
  }

  add(ids: readonly string[]): void {
    for (const id of ids) this.#ids.add(id, this.#now);
  }

  addStamped(headers: StampedHeaders): void {
    for (const stamp of stampsOf(headers)) this.#stamps.add(stamp, this.#now);
  }

  /** Whether this worker heard that the task is revoked. */
  find(message: Revocable): Revoked | undefined {
    if (this.#ids.size > 0 && this.#ids.has(message.id, this.#now)) return { stamp: undefined };
    if (this.#stamps.size === 0) return undefined;
    const stamp = stampsOfMessage(message).find((each) => this.#stamps.has(each, this.#now));
    return stamp === undefined ? undefined : { stamp };
  }

  /** Whether the backend keeps that the task is revoked. A backend in trouble is told of, and the task runs: a revoke is no lock. */
  async ask(message: Revocable): Promise<Revoked | undefined> {
    const facts = this.#parts.facts();
    if (facts === undefined) return undefined;
    const stamps = stampsOfMessage(message, MOST_ASKED);
    try {
      const asked = Promise.all(
        [revokeFact(message.id), ...stamps.map(stampFact)].map((key) => facts.get(key)),
      );
      const found = (await inTime(this.#parts.clock, asked)).findIndex((value) => value !== undefined);
      return found < 0 ? undefined : { stamp: stamps[found - 1] };
    } catch (error) {
      const reason = exceptionRepr(failed(error).exception);
      const line = `Couldn't ask whether task ${printable(message.id)} is revoked: ${reason}. It runs.`;
      this.#parts.logger.log("warning", line, { taskId: message.id, code: "revoke-unchecked", error });
      return undefined;
    }
  }

  get #now(): number {
    return this.#parts.clock.elapsed();
  }
}

/** Celery matches the headers that `stamped_headers` names, each against its value or each of its values. */
export function stampsOfMessage({ stampedHeaders, stamps }: Revocable, most: number = MOST_STAMPS): string[] {
  if (stampedHeaders === null || stampedHeaders.length === 0) return [];
  const stamped = stampedHeaders.slice(0, most).filter((header) => Object.hasOwn(stamps, header));
  return stampsOf(Object.fromEntries(stamped.map((header) => [header, stamps[header]])), most);
}

/** The names by which signals go, as Celery shows them: `Signals.SIGTERM`. */
export function signalName(signal: string = "TERM"): string {
  const name = signal.toUpperCase();
  return name.startsWith("SIG") ? name : `SIG${name}`;
}
