/**
 * Who waits for something inside a simulation: what waits for nothing there waits for the world outside.
 *
 * @module
 */
import type { Broker, Outgoing, PublishOptions, Verdict } from "../../broker.ts";
import type { Context } from "../../lib/port.ts";

/** What the context holds, or of a running task its id. */
function keyOf(scope: unknown): unknown {
  const { taskId } = (scope ?? {}) as { readonly taskId?: unknown };
  return typeof taskId === "string" ? taskId : scope;
}

/** The waits of one node: for its broker, its backend, or time itself. */
export class Waits {
  readonly #context: Context;
  readonly #byKey: Map<unknown, number> = new Map<unknown, number>();
  /** Waits of which nobody can say who waits. */
  #shared = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * Whether something inside may bring on who is known by `key`: it waits itself, or the node waits for an answer, which may be the one that
   * it needs. Where the runtime has no async context, any wait of the node may be its own.
   */
  has(key: unknown): boolean {
    return this.#shared > 0 || (this.#byKey.get(key) ?? 0) > 0 ||
      (!this.#context.available && this.#byKey.size > 0);
  }

  /** Whether anybody waits. */
  get any(): boolean {
    return this.#shared > 0 || this.#byKey.size > 0;
  }

  /** Notes a wait of whoever asks now, until the function that it gives is called. */
  begin(): () => void {
    const key = keyOf(this.#context.current());
    this.#byKey.set(key, (this.#byKey.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#byKey.get(key) ?? 1) - 1;
      if (left === 0) this.#byKey.delete(key);
      else this.#byKey.set(key, left);
    };
  }

  /** Notes a wait for an answer that several may be waiting for, until the function that it gives is called. */
  share(): () => void {
    this.#shared++;
    return this.#unshare;
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

  readonly #unshare = (): void => void this.#shared--;
}

/** Sees what a node publishes. */
export interface PostOffice {
  /** A batch goes out. Gives what is to be told of its verdicts, and waited for before its sender is. */
  post(batch: readonly Outgoing[]): (verdicts: readonly Verdict[]) => Promise<unknown> | undefined;
}

/** The broker, its answers noted while they are waited for; `office` is asked for anew with each batch. */
export function noted(broker: Broker, waits: Waits, office: () => PostOffice | undefined): Broker {
  const publish = async (
    batch: readonly Outgoing[],
    options: PublishOptions | undefined,
    told: (verdicts: readonly Verdict[]) => Promise<unknown> | undefined,
  ): Promise<readonly Verdict[]> => {
    const verdicts = await broker.publish(batch, options);
    const opened = told(verdicts);
    if (opened !== undefined) await opened;
    return verdicts;
  };
  return {
    transport: broker.transport,
    address: broker.address,
    features: broker.features,
    connect: (options) => waits.during(broker.connect(options)),
    declare: (entities, options) => waits.during(broker.declare(entities, options)),
    publish(batch, options) {
      const told = office()?.post(batch);
      return waits.during(
        told === undefined ? broker.publish(batch, options) : publish(batch, options, told),
      );
    },
    consume: (queues, options) => broker.consume(queues, options),
    subscribe: (inbox) => broker.subscribe(inbox),
    count: (queue) => waits.during(broker.count(queue)),
    purge: (queue) => waits.during(broker.purge(queue)),
    observe: (listener) => broker.observe(listener),
    close: (options) => waits.during(broker.close(options)),
  };
}
