/**
 * The backend of one node: the calls travel to the common store, and the answers back, as events of the simulation.
 *
 * @module
 */
import { Feed } from "../../../adapters/memory/feed.ts";
import type { MemoryStore } from "../../../adapters/memory/store.ts";
import type { Backend, Facts, ResultRecord } from "../../backend.ts";
import type { Call } from "../../broker.ts";
import { ConnectionError, TimeoutError } from "../../errors.ts";
import type { Clock } from "../../lib/port.ts";
import type { Line } from "../../../adapters/memory/network.ts";
import type { Waits } from "./waits.ts";

/** What happens when a word arrives. */
export type Arrival = () => void;

/** What a node's backend is made of. */
export interface BackendParts {
  readonly clock: Clock;
  readonly store: MemoryStore;
  readonly waits: Waits;
  readonly up: Line<Arrival>;
  readonly down: Line<Arrival>;
}

/** The backend of one node. */
export class NodeBackend implements Backend {
  readonly transport = "memory";
  readonly address = "memory://";
  readonly features = { push: true, chord: "unlock", shared: true } as const;
  readonly facts: Facts;
  readonly #parts: BackendParts;
  readonly #feeds: Map<Feed<ResultRecord>, readonly string[]> = new Map<
    Feed<ResultRecord>,
    readonly string[]
  >();

  constructor(parts: BackendParts) {
    this.#parts = parts;
    this.facts = {
      get: (key) => this.#ask((store) => store.fact(key)),
      put: (key, value, { ttl, ifAbsent = false }) =>
        this.#ask((store) => store.putFact(key, value, ttl, ifAbsent)),
      bump: (key, { ttl }) => this.#ask((store) => store.bumpFact(key, ttl)),
    };
  }

  store(
    record: ResultRecord,
    { ttl, ...call }: Call & { readonly ttl: number | undefined },
  ): Promise<"stored" | "kept"> {
    return this.#ask((store) => store.put(record, ttl), call);
  }

  load(ids: readonly string[], call: Call = {}): Promise<readonly (ResultRecord | undefined)[]> {
    return this.#ask((store) => ids.map((id) => store.get(id)), call);
  }

  async *watch(ids: readonly string[], { signal, deadline }: Call = {}): AsyncGenerator<ResultRecord, void> {
    signal?.throwIfAborted();
    const { clock, down, store, up, waits } = this.#parts;
    const feed = new Feed<ResultRecord>();
    const tell = (record: ResultRecord): void => down.send(() => feed.push(record));
    const stop = (): void => feed.end(signal?.reason);
    const timer = deadline === undefined
      ? undefined
      : clock.after(deadline - clock.now(), () => feed.end(late()));
    signal?.addEventListener("abort", stop, { once: true });
    this.#feeds.set(feed, ids);
    up.send(() => {
      for (const id of new Set(ids)) {
        store.listen(id, tell);
        const record = store.get(id);
        if (record !== undefined) tell(record);
      }
    });
    try {
      for (;;) {
        const end = waits.begin();
        const { done, value } = await feed.next().finally(end);
        if (done === true) return;
        yield value;
      }
    } finally {
      this.#feeds.delete(feed);
      up.send(() => {
        for (const id of ids) store.leave(id, tell);
      });
      timer?.cancel();
      signal?.removeEventListener("abort", stop);
    }
  }

  async forget(ids: readonly string[]): Promise<void> {
    await this.#ask((store) => ids.forEach((id) => store.forget(id)));
  }

  /** Ends all waits; results stay, and the backend may be used again. */
  async close(): Promise<void> {
    this.stop(new ConnectionError("backend-closed", "The backend was closed."));
  }

  /** The ids of the tasks whose results are awaited. */
  get watched(): readonly string[] {
    return [...new Set([...this.#feeds.values()].flat())];
  }

  /** Ends the waits for results with an error. */
  stop(error: Error): void {
    for (const feed of [...this.#feeds.keys()]) feed.end(error);
  }

  /** What travels, and the answer; for most calls that is one promise. */
  #ask<T>(work: (store: MemoryStore) => T, { signal, deadline }: Call = {}): Promise<T> {
    const { clock, down, store, up, waits } = this.#parts;
    const ask = (): Promise<T> =>
      new Promise<T>((resolve) => {
        const end = waits.share();
        up.send(() => {
          const value = work(store);
          down.send(() => {
            end();
            resolve(value);
          });
        });
      });
    if (signal === undefined && deadline === undefined) return ask();
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (deadline !== undefined && deadline <= clock.now()) return Promise.reject(late());
    return within(ask(), clock, signal, deadline);
  }
}

function within<T>(
  answer: Promise<T>,
  clock: Clock,
  signal: AbortSignal | undefined,
  deadline: number | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal?.reason);
    const timer = deadline === undefined
      ? undefined
      : clock.after(deadline - clock.now(), () => reject(late()));
    signal?.addEventListener("abort", stop, { once: true });
    answer.then(resolve, reject).finally(() => {
      timer?.cancel();
      signal?.removeEventListener("abort", stop);
    });
  });
}

function late(): TimeoutError {
  return new TimeoutError("backend-timeout", "The backend had nothing more by the deadline.");
}
