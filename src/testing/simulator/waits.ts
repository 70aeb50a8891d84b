/**
 * Who waits for something inside a simulation: what waits for nothing there waits for the world outside.
 *
 * @module
 */
import type { Broker } from "../../broker.ts";
import type { Context } from "../../lib/port.ts";

/** The waits of one node: for its broker, its backend, or time itself. */
export class Waits {
  readonly #context: Context;
  readonly #byScope: Map<unknown, number> = new Map<unknown, number>();
  /** Waits of which nobody can say who waits. */
  #shared = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * Whether something inside may bring on who runs within `scope`: it waits itself, or the node waits for an answer, which may be the one
   * that it needs. Where the runtime has no async context, any wait of the node may be its own.
   */
  has(scope: unknown): boolean {
    return this.#shared > 0 || (this.#byScope.get(scope) ?? 0) > 0 ||
      (!this.#context.available && this.#byScope.size > 0);
  }

  /** Notes a wait of whoever asks now, until the function that it gives is called. */
  begin(): () => void {
    const scope = this.#context.current();
    this.#byScope.set(scope, (this.#byScope.get(scope) ?? 0) + 1);
    return () => {
      const left = (this.#byScope.get(scope) ?? 1) - 1;
      if (left === 0) this.#byScope.delete(scope);
      else this.#byScope.set(scope, left);
    };
  }

  /** Notes a wait for an answer that several may be waiting for. */
  async during<T>(answer: Promise<T>): Promise<T> {
    this.#shared++;
    try {
      return await answer;
    } finally {
      this.#shared--;
    }
  }
}

/** The broker, its answers noted while they are waited for. */
export function noted(broker: Broker, waits: Waits): Broker {
  return {
    transport: broker.transport,
    address: broker.address,
    features: broker.features,
    connect: (options) => waits.during(broker.connect(options)),
    declare: (entities, options) => waits.during(broker.declare(entities, options)),
    publish: (batch, options) => waits.during(broker.publish(batch, options)),
    consume: (queues, options) => broker.consume(queues, options),
    subscribe: (inbox) => broker.subscribe(inbox),
    count: (queue) => waits.during(broker.count(queue)),
    purge: (queue) => waits.during(broker.purge(queue)),
    observe: (listener) => broker.observe(listener),
    close: (options) => waits.during(broker.close(options)),
  };
}
