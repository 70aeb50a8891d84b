/**
 * The pool CONTRACT: what gives a running task its slot. Tasks of one event loop share the loop pool (`worker/pool.ts`); threads and
 * processes are adapters.
 *
 * @module
 */

/** A slot, held by one running task. */
export interface Slot extends Disposable {
  /** The pid of the process that runs the task, for `STARTED` and logs. */
  readonly pid: number;
}

/** Gives slots in the order asked. */
export interface Pool {
  /** "loop", "threads", "processes": for logs and the banner. */
  readonly kind: string;
  readonly size: number;
  /** Slots in use. */
  readonly busy: number;
  /** Waits for a free slot; rejects with the signal's reason when aborted first. */
  acquire(signal?: AbortSignal): Promise<Slot>;
  /** Changes the number of slots; running tasks are not touched. */
  resize(size: number): void;
}
