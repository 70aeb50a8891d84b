/**
 * Exchanges, queues and bindings: declared once a connection, remembered, and declared again after a loss.
 *
 * @module
 */
import type { Entity } from "../../src/broker.ts";
import { explaining } from "../../src/lib/mismatch.ts";
import { Recent } from "../../src/lib/recent.ts";
import type { Control } from "./control.ts";
import { declareAll } from "./declare.ts";
import type { Epoch } from "./epoch.ts";
import type { Topology as Mode } from "./options.ts";

/** A connection to declare on. */
export interface Site {
  readonly epoch: Epoch;
  readonly control: Control;
  /** The broker's other connection. */
  readonly elsewhere: Epoch | undefined;
  /** Whether exclusive queues are declared here. */
  readonly exclusive: boolean;
}

/** What a broker declared, and on which connections that still holds. */
export class Topology {
  readonly #mode: Mode;
  /** By identity of content, in the order of first declaration. What came with a message is not kept: any message may name a queue. */
  readonly #remembered: Recent<Entity> = new Recent();
  /** What stands, by connection; cleared when the broker shows that something is gone. */
  readonly #standing: WeakMap<Epoch, Recent<true>> = new WeakMap();
  readonly #keys: WeakMap<Entity, string> = new WeakMap();
  readonly #restoring: WeakMap<Epoch, Promise<void>> = new WeakMap();
  #age = 0;
  readonly #ages: WeakMap<Epoch, number> = new WeakMap();

  constructor(mode: Mode) {
    this.#mode = mode;
  }

  /** Whether any of `entities` belongs to one connection only. */
  static exclusive(entities: readonly Entity[]): boolean {
    return entities.some((entity) => entity.kind === "queue" && entity.exclusive);
  }

  /** Whether all of `entities` stand by one of these connections, so that no round trip is due. */
  stands(entities: readonly Entity[], epochs: readonly (Epoch | undefined)[]): boolean {
    if (this.#mode === "leave") return true;
    return entities.every((entity) => {
      const key = this.#key(entity);
      // What is forgotten would not be declared again after a loss.
      return this.#remembered.get(key) !== undefined &&
        epochs.some((epoch) =>
          epoch !== undefined && epoch.lost === undefined && this.#known(epoch).get(key)
        );
    });
  }

  /**
   * Declares what does not stand yet, in order, and remembers it for a while.
   *
   * @throws {ConfigurationError} naming the first entity that was refused; those before it are declared.
   */
  async declare(entities: readonly Entity[], epoch: Epoch, control: Control): Promise<void> {
    if (this.#mode === "leave") return;
    await explaining(control.ask(epoch, async (channel) => {
      const standing = this.#known(epoch);
      const due = entities.filter((entity) => !this.stands([entity], [epoch]));
      await declareAll(due, this.#mode, channel, (entity) => {
        standing.set(this.#key(entity), true);
        this.#remembered.set(this.#key(entity), entity);
      });
    }));
  }

  /** Declares them again on each connection from now on. */
  keep(entities: readonly Entity[]): void {
    if (this.#mode === "leave") return;
    for (const entity of entities) this.#remembered.keep(this.#key(entity), entity);
  }

  /**
   * Declares what is remembered and does not stand, once a connection; what is refused is reported to `refused` and left. Exclusive
   * queues belong to the consuming link alone.
   */
  restore(site: Site, refused: (error: Error) => void): Promise<void> {
    const { epoch } = site;
    if (this.#ages.get(epoch) !== this.#age) this.#restoring.delete(epoch);
    let restoring = this.#restoring.get(epoch);
    if (restoring === undefined) {
      this.#ages.set(epoch, this.#age);
      restoring = this.#restore(site, refused);
      this.#restoring.set(epoch, restoring);
    }
    return restoring;
  }

  /** Something that was declared is gone: nothing is taken for granted any more. */
  doubt(...epochs: readonly (Epoch | undefined)[]): void {
    this.#age++;
    for (const epoch of epochs) if (epoch !== undefined) this.#standing.delete(epoch);
  }

  async #restore(
    { epoch, control, elsewhere, exclusive }: Site,
    refused: (error: Error) => void,
  ): Promise<void> {
    let left = this.#remembered.values.filter((entity) =>
      (exclusive || !Topology.exclusive([entity])) && !this.stands([entity], [elsewhere])
    );
    while (left.length > 0) {
      try {
        await this.declare(left, epoch, control);
        return;
      } catch (error) {
        if (epoch.lost !== undefined) throw epoch.lost;
        refused(error instanceof Error ? error : new Error(String(error)));
        // What stood before the refused one stands; it alone is left out.
        const at = left.findIndex((entity) => !this.stands([entity], [epoch]));
        left = left.slice(at + 1);
      }
    }
  }

  #known(epoch: Epoch): Recent<true> {
    let known = this.#standing.get(epoch);
    if (known === undefined) this.#standing.set(epoch, known = new Recent());
    return known;
  }

  #key(entity: Entity): string {
    let key = this.#keys.get(entity);
    if (key === undefined) {
      key = JSON.stringify(
        [entity.kind, ...Object.entries(entity).sort(([a], [b]) => (a < b ? -1 : 1))],
        jsonSafe,
      );
      this.#keys.set(entity, key);
    }
    return key;
  }
}

function jsonSafe(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}
