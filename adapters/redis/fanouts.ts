/**
 * Which queues are on fanout exchanges: kombu keeps it in each process, too (`_fanout_queues`).
 *
 * @module
 */
import type { Entity, Inbox } from "../../src/broker.ts";
import { Recent } from "../../src/lib/recent.ts";
import type { Types } from "./packer.ts";

/** What was declared of queues and the fanout exchanges that they are on. */
export class Fanouts {
  /** By queue and exchange, the keys. */
  readonly #bound: Recent<Map<string, Set<string>>> = new Recent();
  /** Queues that go with whom they were made for. */
  readonly #own: Set<string> = new Set();
  /** How many of this broker consume each queue, once one did. */
  readonly #consumers: Map<string, number> = new Map();

  /**
   * Takes out the bindings to fanout exchanges, of which `types` and the entities themselves tell: who publishes to one reads no bindings, and
   * those of broadcasts are new with each worker. `kept`: they are not forgotten, however many come after them.
   */
  note(entities: readonly Entity[], types: Pick<Types, "get">, kept: boolean): readonly Entity[] {
    const fanouts = new Set(
      entities.flatMap((entity) =>
        entity.kind === "exchange" && entity.type === "fanout" ? [entity.name] : []
      ),
    );
    const isFanout = (exchange: string): boolean => fanouts.has(exchange) || types.get(exchange) === "fanout";
    return entities.filter((entity) => {
      if (entity.kind === "queue" && entity.autoDelete) this.#own.add(entity.name);
      if (entity.kind !== "binding" || !isFanout(entity.exchange)) return true;
      const { queue, exchange, routingKey } = entity;
      const exchanges = this.#bound.get(queue) ?? new Map<string, Set<string>>();
      this.#bound[kept ? "keep" : "set"](
        queue,
        exchanges.set(exchange, (exchanges.get(exchange) ?? new Set()).add(routingKey)),
      );
      return false;
    });
  }

  has(queue: string): boolean {
    return this.#bound.get(queue) !== undefined;
  }

  /** It is consumed from here on. */
  join(queue: string): void {
    this.#consumers.set(queue, (this.#consumers.get(queue) ?? 0) + 1);
  }

  /** One of those does so no more. */
  leave(queue: string): void {
    this.#consumers.set(queue, (this.#consumers.get(queue) ?? 0) - 1);
  }

  /** Whether the queue went with its last consumer: nobody else has a use for it. */
  isGone(queue: string): boolean {
    return this.#own.has(queue) && this.#consumers.get(queue) === 0;
  }

  /** What to listen to for the queue; undefined where it is on no fanout exchange. */
  inboxes(queue: string): readonly Inbox[] | undefined {
    const exchanges = this.#bound.get(queue);
    if (exchanges === undefined) return undefined;
    return [...exchanges].map(([name, keys]) => ({
      queue,
      exchange: { name, type: "fanout", durable: true },
      routingKeys: [...keys],
    }));
  }
}
