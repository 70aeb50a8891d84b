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
import { Shelf } from "./shelf.ts";

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
  readonly #records: Shelf<ResultRecord>;
  readonly #watchers: Map<string, Set<Feed<ResultRecord>>> = new Map<string, Set<Feed<ResultRecord>>>();

  constructor({ platform = systemPlatform }: MemoryBackendOptions) {
    this.#clock = platform.clock;
    this.#records = new Shelf(platform.clock);
    this.facts = factsOn(new Shelf(platform.clock));
  }

  // Async throughout: the contract's errors are rejections.
  async store(
    record: ResultRecord,
    { ttl, ...call }: Call & { readonly ttl: number | undefined },
  ): Promise<"stored" | "kept"> {
    this.#demandTime(call);
    if (this.#records.get(record.taskId)?.status === "SUCCESS") return "kept";
    const kept = { ...record };
    this.#records.put(record.taskId, kept, ttl);
    for (const feed of this.#watchers.get(record.taskId) ?? []) feed.push({ ...kept });
    return "stored";
  }

  async load(ids: readonly string[], call: Call = {}): Promise<readonly (ResultRecord | undefined)[]> {
    this.#demandTime(call);
    return ids.map((id) => {
      const record = this.#records.get(id);
      return record === undefined ? undefined : { ...record };
    });
  }

  async *watch(ids: readonly string[], { signal, deadline }: Call = {}): AsyncGenerator<ResultRecord, void> {
    signal?.throwIfAborted();
    const feed = new Feed<ResultRecord>();
    const stop = (): void => feed.end(signal?.reason);
    const timer = deadline === undefined
      ? undefined
      : this.#clock.after(Math.max(0, deadline - this.#clock.now()), () => feed.end(late()));
    signal?.addEventListener("abort", stop, { once: true });
    const wanted = new Set(ids);
    try {
      for (const id of wanted) {
        this.#listen(id, feed);
        const record = this.#records.get(id);
        if (record !== undefined) feed.push({ ...record });
      }
      yield* feed;
    } finally {
      for (const id of wanted) this.#leave(id, feed);
      timer?.cancel();
      signal?.removeEventListener("abort", stop);
    }
  }

  async forget(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#records.remove(id);
  }

  /** Ends all waits; results stay, and the backend may be used again. */
  async close(): Promise<void> {
    const closed = new ConnectionError("backend-closed", "The memory backend was closed.");
    for (const feed of new Set([...this.#watchers.values()].flatMap((feeds) => [...feeds]))) feed.end(closed);
  }

  #listen(id: string, feed: Feed<ResultRecord>): void {
    const feeds = this.#watchers.get(id);
    if (feeds === undefined) this.#watchers.set(id, new Set([feed]));
    else feeds.add(feed);
  }

  #leave(id: string, feed: Feed<ResultRecord>): void {
    const feeds = this.#watchers.get(id);
    feeds?.delete(feed);
    if (feeds?.size === 0) this.#watchers.delete(id);
  }

  #demandTime({ signal, deadline }: Call): void {
    signal?.throwIfAborted();
    if (deadline !== undefined && deadline <= this.#clock.now()) throw late();
  }
}

function late(): TimeoutError {
  return new TimeoutError("backend-timeout", "The memory backend had nothing more by the deadline.");
}

function factsOn(shelf: Shelf<string>): Facts {
  return {
    async get(key) {
      return shelf.get(key);
    },
    async put(key, value, { ttl, ifAbsent = false }) {
      if (ifAbsent && shelf.get(key) !== undefined) return false;
      shelf.put(key, value, ttl);
      return true;
    },
    async bump(key, { ttl }) {
      const count = Number(shelf.get(key) ?? 0) + 1;
      if (count === 1) shelf.put(key, "1", ttl);
      else shelf.change(key, String(count));
      return count;
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
