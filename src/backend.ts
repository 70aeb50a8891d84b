/**
 * The backend CONTRACT: where results are kept. It moves records whose JSON text the core has already written, so that each result is
 * encoded once and one codec (with its limits and modes) serves every backend.
 *
 * @module
 */
import type { Call } from "./broker.ts";

/** One stored state of a task: Celery's meta document as text, with the two fields that a backend must know. */
export interface ResultRecord {
  /** The task's id. */
  readonly taskId: string;
  /** Celery's state word, case-sensitive ("SUCCESS", "FAILURE", "PROGRESS", …). */
  readonly status: string;
  /** The meta document, as `protocol/result` writes it; goes to the wire as it is. */
  readonly text: string;
}

/** Small facts with an expiry: revokes, redelivery counts, beat's lock. */
export interface Facts {
  /** The value, or undefined where there is none. */
  get(key: string): Promise<string | undefined>;
  /** `ttl` in ms. False: `ifAbsent` was asked and something was there. */
  put(
    key: string,
    value: string,
    options: { readonly ttl: number; readonly ifAbsent?: boolean },
  ): Promise<boolean>;
  /** Adds one and returns the new count; `ttl` in ms is set on the first. */
  bump(key: string, options: { readonly ttl: number }): Promise<number>;
}

/** A result backend. The constructor does no I/O. */
export interface Backend {
  /** "redis", "memory", "rpc": for logs and the banner. */
  readonly transport: string;
  /** The URL without secrets, for logs and the banner. */
  readonly address: string;
  /** What it can do. */
  readonly features: {
    /** Whether `watch` is told of changes (true) or polls (false). */
    readonly push: boolean;
    readonly chord: "native" | "unlock" | "none";
    /** Whether any process can read a result (false: only the one that sent the task). */
    readonly shared: boolean;
  };
  /**
   * Stores and announces. `ttl` in ms, undefined keeps it for ever. `kept`: SUCCESS was there already and stays (Celery never overwrites
   * it). `replyTo` is the sender's reply queue, for rpc.
   */
  store(
    record: ResultRecord,
    options: Call & { readonly ttl: number | undefined; readonly replyTo?: string },
  ): Promise<"stored" | "kept">;
  /** Same order as `ids`; undefined where nothing is stored. */
  load(ids: readonly string[], options?: Call): Promise<readonly (ResultRecord | undefined)[]>;
  /**
   * Listens, reads once, then yields each change that it learns of, and never misses the final one. It does not end by itself: leave the
   * loop, or abort `signal` (then it throws the signal's reason).
   */
  watch(ids: readonly string[], options?: Call): AsyncIterable<ResultRecord>;
  /** Removes the results. */
  forget(ids: readonly string[]): Promise<void>;
  /** Where it can keep small facts. */
  readonly facts?: Facts;
  /** Closes the links. Idempotent; the backend may be used again after it. */
  close(): Promise<void>;
}
