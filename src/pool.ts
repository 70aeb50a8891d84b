/**
 * The pool CONTRACT: what gives a running task its slot. Tasks of one event loop share the loop pool (`worker/pool.ts`); threads and
 * processes are adapters.
 *
 * @module
 */

/** A slot, held by one running task. Disposing it frees it; disposing it again does nothing. */
export interface Slot extends Disposable {
  /** The pid of the process that runs the task, for `STARTED` and logs. */
  readonly pid: number;
}

/** Gives slots in the order asked. */
export interface Pool {
  /** "loop", "threads", "processes": for logs and the banner. */
  readonly kind: string;
  /** Slots in all. Below `busy` after a shrink, until running tasks have ended. */
  readonly size: number;
  /** Slots in use. */
  readonly busy: number;
  /**
   * The slot itself when one is free and nobody waits, so that an idle pool costs no turn of the loop; else a promise of one, which
   * rejects with the signal's reason when aborted first.
   */
  acquire(signal?: AbortSignal): Slot | Promise<Slot>;
  /** Changes the number of slots (1 or more); running tasks are not touched. */
  resize(size: number): void;
}
