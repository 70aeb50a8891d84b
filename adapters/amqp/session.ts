/**
 * All publishing over one connection: a channel for each exchange, and what waits for room.
 *
 * @module
 */
import type { Publication } from "./batch.ts";
import { Outlet, type OutletSite } from "./outlet.ts";

/** More channels than this are closed again when idle; Celery itself publishes to four exchanges or so. */
const MANY_CHANNELS = 64;

/** The publishing half of a connection, from its opening to its loss. */
export class Session {
  readonly #site: OutletSite;
  readonly #limit: number;
  readonly #outlets: Map<string, Outlet> = new Map();
  /** Whether the connection took anything; one that dies before is a failure, not a pause. */
  worked = false;

  /** At most `limit` publishes wait for their confirm. */
  constructor(site: Omit<OutletSite, "moved" | "out" | "frameMax">, limit: number) {
    this.#limit = limit;
    this.#site = {
      ...site,
      out: site.epoch.out,
      frameMax: site.epoch.frameMax,
      moved: () => {
        this.worked = true;
        this.pump();
      },
    };
  }

  /** Why the broker takes nothing at the moment; undefined where it does. */
  get blocked(): string | undefined {
    return this.#site.epoch.blocked;
  }

  /** Sends these behind what waits. */
  add(publications: readonly Publication[]): void {
    for (const publication of publications) {
      if (!publication.settled) this.#outlet(publication.outgoing.to.exchange).waiting.push(publication);
    }
    this.pump();
  }

  /** Writes what may be written, and opens the channels that are missing for it. */
  pump(): void {
    const { epoch } = this.#site;
    // A blocked broker reads nothing: what waits here is certainly not sent, and can be said to be so.
    if (epoch.lost !== undefined || epoch.blocked !== undefined) return;
    let room = this.#limit;
    for (const outlet of this.#outlets.values()) room -= outlet.size;
    for (const outlet of this.#outlets.values()) {
      const { size } = outlet;
      outlet.send(size + room);
      room -= outlet.size - size;
    }
  }

  /** The connection is gone: what certainly never left. */
  lose(reason: string): readonly Publication[] {
    return [...this.#outlets.values()].flatMap((outlet) => outlet.lose(reason));
  }

  #outlet(exchange: string): Outlet {
    let outlet = this.#outlets.get(exchange);
    if (outlet === undefined) {
      if (this.#outlets.size >= MANY_CHANNELS) this.#retire();
      this.#outlets.set(exchange, outlet = new Outlet(this.#site));
    }
    return outlet;
  }

  #retire(): void {
    for (const [exchange, outlet] of this.#outlets) {
      if (!outlet.idle) continue;
      outlet.retire();
      this.#outlets.delete(exchange);
    }
  }
}
