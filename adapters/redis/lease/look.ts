/**
 * Looks into the queues of a consumer: claims what the windows have room for, and leaves alone what the server refuses.
 *
 * @module
 */
import { type CeleriacError, ConfigurationError } from "../../../src/errors.ts";
import type { Clock } from "../../../src/lib/port.ts";
import { forbidden, isClosed, isForbidden, type Subject } from "../fault.ts";
import type { Claim, Claimed, Want } from "./claim.ts";
import { looked, roomOf, type Tap, type Taps, wantsOf } from "./taps.ts";

/** What a look needs of its consumer. */
export interface LookParts {
  readonly clock: Clock;
  readonly subject: Subject;
  readonly taps: Taps;
  claim(wants: readonly Want[]): Promise<Claim>;
  /** A claim was answered, with this. */
  came(claim: Claim): Promise<void>;
  /** One queue is refused; the next attempt is `retryIn` ms away. */
  refused(error: Error, retryIn: number): void;
}

/** What a look brought. */
export interface Looked {
  /** Whether there was room for any message. */
  readonly wanted: boolean;
  /** How many messages came. */
  readonly came: number;
  /** Whether there may be more at once. */
  readonly more: boolean;
}

/** See the module. Instants are ms since the epoch. */
export class Look {
  readonly #parts: LookParts;
  #at = 0;
  #due = Infinity;

  constructor(parts: LookParts) {
    this.#parts = parts;
  }

  /** When queues were last looked at; 0 for never. */
  get at(): number {
    return this.#at;
  }

  /** When the next parked message is due, as far as is known. */
  get due(): number {
    return this.#due;
  }

  /** A message was parked until then. */
  parked(until: number): boolean {
    if (until >= this.#due) return false;
    this.#due = until;
    return true;
  }

  /** One claim of all queues; from another one on each turn. */
  async take(turn: number, prefetch: number): Promise<Looked> {
    const { clock, taps } = this.#parts;
    const asked = taps.asked(turn, clock.now());
    const wants = wantsOf(asked, prefetch);
    const claims = await this.#look(wants, asked).then(
      (claim) => [claim],
      (error) => this.#lookAtEach(wants, error),
    );
    const claimed = claims.flatMap((one) => one.claimed);
    this.#due = Math.min(...claims.map(({ due = Infinity }) => due));
    return { wanted: wants.length > 0, came: claimed.length, more: this.#more(wants, claimed, prefetch) };
  }

  /** Whether no repeat will change this. */
  isFinal(met: CeleriacError): boolean {
    // Who was made while its broker closed has no link any more.
    if (met instanceof ConfigurationError || isClosed(met)) return true;
    // Rights that were there once may be given again.
    return /-credentials-refused$/.test(met.code) && (this.#never || !isForbidden(met));
  }

  /** Whether no queue was ever looked at. */
  get #never(): boolean {
    return this.#parts.taps.all.every(({ alive }) => alive === 0);
  }

  /** With the answer these queues were looked at. */
  async #look(wants: readonly Want[], taps: readonly Tap[]): Promise<Claim> {
    const claim = await this.#parts.claim(wants);
    this.#at = this.#parts.clock.now();
    looked(taps, this.#at);
    await this.#parts.came(claim);
    return claim;
  }

  /** The claim of all was forbidden, and Redis does not say for which: what it refuses alone is left alone for a while. */
  async #lookAtEach(wants: readonly Want[], error: unknown): Promise<readonly Claim[]> {
    const { clock, refused, subject, taps } = this.#parts;
    if (!isForbidden(error)) throw error;
    // Where that is refused, it is not for a queue.
    const claims = [await this.#look([], [])];
    let last: ConfigurationError | undefined;
    for (const want of wants) {
      const tap = taps.get(want.queue);
      if (tap === undefined) continue;
      try {
        claims.push(await this.#look([want], [tap]));
      } catch (met) {
        if (!isForbidden(met)) throw met;
        last = forbidden(want.queue, subject, met);
        const until = taps.refuse(tap, last, clock.now());
        if (until !== undefined) refused(last, until - clock.now());
      }
    }
    if (last !== undefined && taps.all.length > 0 && this.#never) throw last;
    return claims;
  }

  /** Whether a queue gave all that was wanted of it and has room again. */
  #more(wants: readonly Want[], claimed: readonly Claimed[], prefetch: number): boolean {
    const got = new Map<string, number>();
    for (const { queue } of claimed) got.set(queue, (got.get(queue) ?? 0) + 1);
    return wants.some(({ queue, most }) => {
      const tap = this.#parts.taps.get(queue);
      return tap !== undefined && (got.get(queue) ?? 0) >= most && roomOf(tap, prefetch) > 0;
    });
  }
}
