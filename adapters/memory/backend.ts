/**
 * The memory backend: results and facts in two maps with an expiry.
 *
 * @module
 */
import type { Backend, Facts, ResultRecord } from "../../src/backend.ts";
import type { Call } from "../../src/broker.ts";
import { ConnectionError, TimeoutError } from "../../src/errors.ts";
import { checkOptionNames } from "../../src/lib/options.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Clock, Platform } from "../../src/lib/port.ts";
import { Feed } from "./feed.ts";
import { MemoryStore } from "./store.ts";

/** How a memory backend is made. */
export interface MemoryBackendOptions {
  /**
   * Time.
   *
   * @default the system's
   */
  readonly platform?: Platform;
}

class InMemory implements Backend {
  readonly transport = "memory";
  readonly address = "memory://";
  readonly features = { push: true, chord: "unlock", shared: true } as const;
  readonly facts: Facts;
  readonly #clock: Clock;
  readonly #store: MemoryStore;
  readonly #feeds: Set<Feed<ResultRecord>> = new Set<Feed<ResultRecord>>();

  constructor({ platform = systemPlatform }: MemoryBackendOptions) {
    this.#clock = platform.clock;
    this.#store = new MemoryStore(platform.clock);
    this.facts = factsOf(this.#store);
  }

  // Async throughout: the contract's errors are rejections.
  async store(
    record: ResultRecord,
    { ttl, ...call }: Call & { readonly ttl: number | undefined },
  ): Promise<"stored" | "kept"> {
    this.#demandTime(call);
    return this.#store.put(record, ttl);
  }

  async load(ids: readonly string[], call: Call = {}): Promise<readonly (ResultRecord | undefined)[]> {
    this.#demandTime(call);
    return ids.map((id) => this.#store.get(id));
  }

  async *watch(ids: readonly string[], { signal, deadline }: Call = {}): AsyncGenerator<ResultRecord, void> {
    signal?.throwIfAborted();
    const feed = new Feed<ResultRecord>();
    const tell = (record: ResultRecord): void => feed.push(record);
    const stop = (): void => feed.end(signal?.reason);
    const timer = deadline === undefined
      ? undefined
      : this.#clock.after(Math.max(0, deadline - this.#clock.now()), () => feed.end(late()));
    signal?.addEventListener("abort", stop, { once: true });
    const wanted = new Set(ids);
    this.#feeds.add(feed);
    try {
      for (const id of wanted) {
        this.#store.listen(id, tell);
        const record = this.#store.get(id);
        if (record !== undefined) feed.push(record);
      }
      yield* feed;
    } finally {
      for (const id of wanted) this.#store.leave(id, tell);
      this.#feeds.delete(feed);
      timer?.cancel();
      signal?.removeEventListener("abort", stop);
    }
  }

  async forget(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#store.forget(id);
  }

  /** Ends all waits; results stay, and the backend may be used again. */
  async close(): Promise<void> {
    const closed = new ConnectionError("backend-closed", "The memory backend was closed.");
    for (const feed of [...this.#feeds]) feed.end(closed);
  }

  #demandTime({ signal, deadline }: Call): void {
    signal?.throwIfAborted();
    if (deadline !== undefined && deadline <= this.#clock.now()) throw late();
  }
}

function late(): TimeoutError {
  return new TimeoutError("backend-timeout", "The memory backend had nothing more by the deadline.");
}

function factsOf(store: MemoryStore): Facts {
  return {
    async get(key) {
      return store.fact(key);
    },
    async put(key, value, { ttl, ifAbsent = false }) {
      return store.putFact(key, value, ttl, ifAbsent);
    },
    async bump(key, { ttl }) {
      return store.bumpFact(key, ttl);
    },
  };
}

/**
 * Makes a result backend in memory. Only who holds this object reads its results; they go by their expiry, and nothing of it holds the
 * process open.
 */
export function memoryBackend(options: MemoryBackendOptions = {}): Backend {
  checkOptionNames("memoryBackend", options, ["platform"]);
  return new InMemory(options);
}
