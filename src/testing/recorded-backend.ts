/**
 * A backend whose stores are written down.
 *
 * @module
 */
import type { Backend, Facts, ResultRecord } from "../backend.ts";
import type { Call } from "../broker.ts";
import { revokedBy } from "../result/revoke.ts";
import type { Recorder } from "./recorder.ts";

/** See the contract in `src/backend.ts`: everything is the inner one's. */
export class RecordedBackend implements Backend {
  readonly #inner: Backend;
  readonly #recorder: Recorder;
  readonly transport: string;
  readonly address: string;
  readonly features: Backend["features"];
  readonly facts?: Facts;

  constructor(recorder: Recorder, inner: Backend) {
    this.#inner = inner;
    this.#recorder = recorder;
    this.transport = inner.transport;
    this.address = inner.address;
    this.features = inner.features;
    if (inner.facts !== undefined) this.facts = this.#watched(inner.facts);
  }

  async store(
    record: ResultRecord,
    options: Call & { readonly ttl: number | undefined; readonly replyTo?: string },
  ): Promise<"stored" | "kept"> {
    const store = this.#recorder.history.number("store");
    const of = { task: record.taskId, store, status: record.status };
    this.#recorder.add({ is: "storing", ...of });
    try {
      const outcome = await this.#inner.store(record, options);
      this.#recorder.add({ is: "stored", ...of, outcome });
      return outcome;
    } catch (error) {
      this.#recorder.add({ is: "stored", ...of, outcome: "failed" });
      throw error;
    }
  }

  /** A revoke counts from when it is kept. */
  #watched(facts: Facts): Facts {
    return {
      get: (key) => facts.get(key),
      bump: (key, options) => facts.bump(key, options),
      put: async (key, value, options) => {
        const put = await facts.put(key, value, options);
        const task = revokedBy(key);
        if (task !== undefined) this.#recorder.add({ is: "revoked", task, by: "backend" });
        return put;
      },
    };
  }

  load(ids: readonly string[], options?: Call): Promise<readonly (ResultRecord | undefined)[]> {
    return this.#inner.load(ids, options);
  }

  watch(ids: readonly string[], options?: Call): AsyncIterable<ResultRecord> {
    return this.#inner.watch(ids, options);
  }

  forget(ids: readonly string[]): Promise<void> {
    return this.#inner.forget(ids);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
