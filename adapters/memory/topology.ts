/**
 * What a broker declared, remembered, and declared again on each new link.
 *
 * @module
 */
import type { Entity } from "../../src/broker.ts";
import type { BareCommand, Session } from "./session.ts";

function commandOf(entity: Entity): BareCommand {
  switch (entity.kind) {
    case "exchange": {
      const { name, type, durable, autoDelete } = entity;
      return {
        do: "exchange.declare",
        exchange: name,
        type,
        durable,
        autoDelete,
        arguments: entity.arguments ?? {},
      };
    }
    case "queue": {
      const { name, durable, exclusive, autoDelete } = entity;
      return {
        do: "queue.declare",
        queue: name,
        durable,
        exclusive,
        autoDelete,
        arguments: entity.arguments ?? {},
      };
    }
    case "binding": {
      const { queue, exchange, routingKey } = entity;
      return { do: "queue.bind", queue, exchange, routingKey, arguments: entity.arguments ?? {} };
    }
  }
}

function keyOf(entity: Entity): string {
  return JSON.stringify(entity, (_, value: unknown) => typeof value === "bigint" ? `${value}n` : value);
}

/** The topology of one broker object. */
export class Topology {
  readonly #remembered: Map<string, Entity> = new Map<string, Entity>();
  /** Links on which all of it was declared. */
  #restored: WeakMap<Session, Promise<void>> = new WeakMap<Session, Promise<void>>();

  /** Declares in order and remembers; the first refusal is thrown, what was declared before it stays. */
  async declare(entities: readonly Entity[], session: Session): Promise<void> {
    const channel = session.channel();
    for (const entity of entities) {
      await channel.ask(commandOf(entity));
      this.#remembered.set(keyOf(entity), entity);
    }
    void channel.close();
  }

  /** Declares what is remembered, once a link. What the server refuses now is left alone: who needs it will meet the refusal. */
  restore(session: Session): Promise<void> {
    const restored = this.#restored.get(session) ?? this.#restore(session);
    this.#restored.set(session, restored);
    return restored;
  }

  /** Something that was declared is gone: the next user of a link declares all of it again. */
  doubt(): void {
    this.#restored = new WeakMap<Session, Promise<void>>();
  }

  async #restore(session: Session): Promise<void> {
    for (const entity of this.#remembered.values()) {
      try {
        await this.declare([entity], session);
      } catch (error) {
        if (!session.alive) throw error;
      }
    }
  }
}
