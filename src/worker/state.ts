/**
 * What a worker is doing now and has done so far.
 *
 * @module
 */
import type { Request } from "./request.ts";

/** The state of one worker (celery/worker/state.py). */
export class WorkerState {
  /** Received and not yet run: waiting for a slot or for their ETA. */
  readonly reserved: ReadonlySet<Request>;
  /** Running. */
  readonly active: ReadonlySet<Request>;
  /** How many runs ended so far, by the task's name. */
  readonly totals: ReadonlyMap<string, number>;
  readonly #reserved = new Set<Request>();
  readonly #active = new Set<Request>();
  readonly #totals = new Map<string, number>();
  #idle: (() => void) | undefined;

  constructor() {
    this.reserved = this.#reserved;
    this.active = this.#active;
    this.totals = this.#totals;
  }

  reserve(request: Request): void {
    this.#reserved.add(request);
  }

  activate(request: Request): void {
    this.#reserved.delete(request);
    this.#active.add(request);
  }

  /** The request will not run here. */
  drop(request: Request): void {
    this.#reserved.delete(request);
  }

  /** The run has ended, however it did. */
  finish(request: Request): void {
    this.#active.delete(request);
    this.#totals.set(request.task.name, (this.#totals.get(request.task.name) ?? 0) + 1);
    if (this.#active.size === 0) this.#idle?.();
  }

  /** Resolves when nothing runs; nothing may be started any more. */
  idle(): Promise<void> {
    if (this.#active.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle = resolve);
  }
}
