/**
 * What keeps a consumer's leases: its store, the renewals, and the sweeps for others.
 *
 * @module
 */
import type { Timer } from "../../../src/lib/port.ts";
import { type LeaseParts, LeaseStore } from "./store.ts";
import { Sweeper, type SweeperParts } from "./sweeper.ts";

/** What it stands on. Durations are ms. */
export interface KeeperParts extends Omit<LeaseParts, "clock">, SweeperParts {
  /** After how long an entry of another program counts as abandoned. */
  readonly visibilityTimeout: number;
  /** After how long without a word a consumer of ours does. */
  readonly consumerTimeout: number;
}

/** The leases that are held. */
export interface Leases {
  /** Oldest first. */
  tags(): readonly string[];
  /** Somebody else has it. */
  lose(tag: string): void;
}

/** See the module. The constructor neither draws nor sends: the first use does. */
export class Keeper {
  readonly #parts: KeeperParts;
  readonly #leases: Leases;
  #store: LeaseStore | undefined;
  #sweeper: Sweeper | undefined;
  #renewal: Timer | undefined;
  #over = false;

  constructor(parts: KeeperParts, leases: Leases) {
    this.#parts = parts;
    this.#leases = leases;
  }

  /** With the first use renewals and sweeps begin. */
  get store(): LeaseStore {
    if (this.#store !== undefined) return this.#store;
    const { consumerTimeout, platform: { clock, ids } } = this.#parts;
    this.#store = new LeaseStore({ ...this.#parts, clock }, { id: ids.uuid(), consumerTimeout });
    this.#sweeper = new Sweeper(this.#parts);
    this.#arm(this.#store);
    return this.#store;
  }

  /** Sweeps no more; leases are renewed until `leave`. */
  rest(): void {
    this.#sweeper?.stop();
  }

  /** Nothing is held any more. */
  async leave(deadline: number): Promise<void> {
    this.#over = true;
    this.#renewal?.cancel();
    await this.#store?.leave(deadline);
  }

  #arm(store: LeaseStore): void {
    const { consumerTimeout, platform: { clock }, visibilityTimeout } = this.#parts;
    this.#renewal = clock.after(Math.min(consumerTimeout / 4, visibilityTimeout / 3), () => {
      void this.#renew(store).then(() => this.#over || this.#arm(store));
    });
  }

  async #renew(store: LeaseStore): Promise<void> {
    const tags = this.#leases.tags();
    // The claims themselves say that we live.
    if (tags.length === 0) return;
    try {
      for (const tag of await store.renew(tags)) this.#leases.lose(tag);
    } catch {
      // The next claim tells of it, and the next renewal may be in time still.
    }
  }
}
