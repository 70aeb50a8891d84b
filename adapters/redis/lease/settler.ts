/**
 * Settlements on their way: those of a tick together, again and again until there is an answer.
 *
 * @module
 */
import { ConnectionError } from "../../../src/errors.ts";
import type { BasePlatform } from "../../../src/lib/port.ts";
import { Batch } from "../batch.ts";
import type { Trail } from "../client.ts";
import { isPassingFault } from "../fault.ts";
import { Patience } from "../patience.ts";
import type { Claimed } from "./claim.ts";
import { backoff } from "./pace.ts";
import { type Ending, givenBack, weightOf } from "./settle.ts";
import type { LeaseStore } from "./store.ts";

/** Settlements of one script: it blocks the server while it runs. */
const SETTLEMENTS = { most: 500, heaviest: 4 * 1024 * 1024 };

/** See the module. */
export class Settler {
  /** When settlements are given up that cannot be sent, ms since the epoch. */
  giveUp: number = Infinity;
  readonly #platform: BasePlatform;
  readonly #store: () => LeaseStore;
  readonly #batch: Batch<Ending, "settled" | "stale">;

  constructor(platform: BasePlatform, store: () => LeaseStore) {
    this.#platform = platform;
    this.#store = store;
    this.#batch = new Batch({
      clock: platform.clock,
      ...SETTLEMENTS,
      weigh: weightOf,
      send: (endings) => this.#send(endings),
    });
  }

  settle(ending: Ending): Promise<"settled" | "stale"> {
    return this.#batch.add(ending);
  }

  /** Back to the front of their queues, in their order. */
  async giveBack(claimed: readonly Claimed[]): Promise<void> {
    await Promise.allSettled(givenBack(claimed).map((ending) => this.#batch.add(ending)));
  }

  /** Resolves when nothing is on its way. */
  idle(): Promise<void> {
    return this.#batch.idle();
  }

  /** The leases last longer than most troubles, and an entry that was lost says so then. */
  async #send(
    endings: readonly Ending[],
    trail: Trail = { attempts: 0 },
  ): Promise<readonly ("settled" | "stale" | Error)[]> {
    const { clock, random } = this.#platform;
    const patience = new Patience(clock, {});
    for (let failures = 1;; failures++) {
      try {
        const fates = await this.#store().settle(endings, trail);
        return fates.map((ours) => ours instanceof Error ? ours : ours ? "settled" : "stale");
      } catch (error) {
        if (isRefused(error) && endings.length > 1) return await this.#halves(endings, trail);
        if (!isPassingFault(error)) throw error;
        // What may have arrived is not called stale: that would mean that somebody else has the message.
        if (clock.now() >= this.giveUp) return endings.map(() => trail.attempts > 0 ? "settled" : "stale");
        await patience.pause(backoff(failures, random));
      }
    }
  }

  /**
   * Which of them is refused, the server did not say: of each half by itself, in their order. What the first attempt has settled may be told
   * of as gone, so that they share its trail.
   */
  async #halves(endings: readonly Ending[], trail: Trail): Promise<readonly ("settled" | "stale" | Error)[]> {
    const half = Math.ceil(endings.length / 2);
    const fates: ("settled" | "stale" | Error)[] = [];
    for (const part of [endings.slice(0, half), endings.slice(half)]) {
      try {
        fates.push(...await this.#send(part, trail));
      } catch (error) {
        fates.push(...part.map(() => error as Error));
      }
    }
    return fates;
  }
}

/** The server will have none of it; where it is for the user's rights, that goes for each of them. */
function isRefused(error: unknown): boolean {
  return error instanceof ConnectionError && error.code === "broker-refused";
}
