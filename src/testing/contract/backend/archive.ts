/**
 * What every test of a backend needs: backend objects of its own, fresh ids, records to store.
 *
 * @module
 */
import type { Backend, ResultRecord } from "../../../backend.ts";
import { systemPlatform } from "../../../lib/platform.ts";
import { until, type UntilOptions } from "../../wait.ts";
import type { Check } from "../check.ts";
import { Reader } from "../reader.ts";
import type { BackendSubject } from "../subject.ts";

/** A time to live that no test outlives, ms. */
export const HOUR = 3_600_000;

/** A record as Celery writes it. */
export function record(taskId: string, status: string, result: unknown = null): ResultRecord {
  const meta = { status, result, traceback: null, children: [], date_done: null, task_id: taskId };
  return { taskId, status, text: JSON.stringify(meta) };
}

/** One test's own backends and results. */
export class Archive {
  readonly subject: BackendSubject;
  readonly check: Check;
  readonly #backends: Backend[] = [];
  readonly #ids: string[] = [];

  constructor(subject: BackendSubject, check: Check) {
    this.subject = subject;
    this.check = check;
  }

  /** How long an awaited thing may take, ms. */
  get patience(): number {
    return this.subject.patience ?? 10_000;
  }

  /** The shortest time to live, ms. */
  get ttl(): number {
    return this.subject.shortestTtl ?? 1000;
  }

  /** Now, ms since the epoch. */
  get now(): number {
    return systemPlatform.clock.now();
  }

  /** A monotonic time, ms. */
  get elapsed(): number {
    return systemPlatform.clock.elapsed();
  }

  /** A backend that the archive closes. */
  async backend(): Promise<Backend> {
    const backend = await this.subject.make();
    this.#backends.push(backend);
    return backend;
  }

  /** An id that no other test has; what is stored for it is forgotten. */
  id(begin = ""): string {
    const id = `${begin}${systemPlatform.ids.uuid()}`;
    this.#ids.push(id);
    return id;
  }

  /** So many. */
  ids(count: number): string[] {
    return Array.from({ length: count }, () => this.id());
  }

  /** Stores for an hour and demands that it is stored. */
  async store(backend: Backend, taskId: string, status: string, result?: unknown): Promise<void> {
    const word = await backend.store(record(taskId, status, result), { ttl: HOUR });
    this.check.equal(word, "stored", `the word of storing ${status}`);
  }

  /** The state that is stored. */
  async state(backend: Backend, id: string): Promise<string | undefined> {
    return (await backend.load([id]))[0]?.status;
  }

  /** Reads step by step, with the subject's patience. */
  reader<T>(source: AsyncIterable<T>): Reader<T> {
    return new Reader(source, this.patience);
  }

  /** The first record of state SUCCESS. */
  async final(source: AsyncIterable<ResultRecord>): Promise<ResultRecord> {
    const reader = this.reader(source);
    for (;;) {
      const seen = await reader.next();
      if (seen.status === "SUCCESS") return seen;
    }
  }

  /** Waits for a condition, with the subject's patience. */
  until<T>(condition: () => T | Promise<T>, options: UntilOptions): ReturnType<typeof until<T>> {
    return until(condition, { deadline: this.patience, ...options });
  }

  /** Waits for the end of the shortest time to live. */
  expiry<T>(condition: () => T | Promise<T>, options: UntilOptions): ReturnType<typeof until<T>> {
    return until(condition, {
      deadline: this.ttl + this.patience,
      every: Math.min(50, this.ttl / 4),
      ...options,
    });
  }

  /** Heals the network, forgets the results, closes the backends. */
  async clear(): Promise<void> {
    await this.subject.link?.thaw();
    await this.#backends[0]?.forget(this.#ids);
    for (const backend of this.#backends) await backend.close();
  }
}

/** What the tests of one part of the contract are given. */
export interface BackendSuite {
  readonly subject: BackendSubject;
  readonly check: Check;
  /** Declares a test; its archive is cleared when it ends. */
  test(name: string, run: (archive: Archive) => Promise<void>): void;
}
