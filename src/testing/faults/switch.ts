/**
 * A backend that can be put out of reach.
 *
 * @module
 */
import type { Backend, Facts, ResultRecord } from "../../backend.ts";
import type { Call } from "../../broker.ts";
import { ConnectionError } from "../../errors.ts";

/** See the contract in `src/backend.ts`; while it is down, each call fails as one to a server that is not there. */
export class SwitchedBackend implements Backend {
  readonly #inner: Backend;
  readonly transport: string;
  readonly address: string;
  readonly features: Backend["features"];
  readonly facts?: Facts;
  /** Whether it is out of reach. */
  down = false;

  constructor(inner: Backend) {
    this.#inner = inner;
    this.transport = inner.transport;
    this.address = inner.address;
    this.features = inner.features;
    const { facts } = inner;
    if (facts === undefined) return;
    this.facts = {
      get: async (key) => await this.#reached(facts).get(key),
      put: async (key, value, options) => await this.#reached(facts).put(key, value, options),
      bump: async (key, options) => await this.#reached(facts).bump(key, options),
    };
  }

  async store(
    record: ResultRecord,
    options: Call & { readonly ttl: number | undefined; readonly replyTo?: string },
  ): Promise<"stored" | "kept"> {
    return await this.#reached(this.#inner).store(record, options);
  }

  async load(ids: readonly string[], options?: Call): Promise<readonly (ResultRecord | undefined)[]> {
    return await this.#reached(this.#inner).load(ids, options);
  }

  async *watch(ids: readonly string[], options?: Call): AsyncGenerator<ResultRecord> {
    yield* this.#reached(this.#inner).watch(ids, options);
  }

  async forget(ids: readonly string[]): Promise<void> {
    await this.#reached(this.#inner).forget(ids);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #reached<T>(what: T): T {
    if (!this.down) return what;
    throw new ConnectionError("backend-unreachable", "The result backend cannot be reached.", {
      hint: "A fault put it out of reach; `backendUp` ends that.",
    });
  }
}
