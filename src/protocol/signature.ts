/**
 * Signatures as they travel inside messages (celery.md: canvas): plain data, passed on value for value.
 *
 * @module
 */

/**
 * A signature on the wire. `args`, `kwargs` and `options` hold values in their exact form (see `json.ts`), so that what a peer wrote
 * goes on as it came: microseconds, big integers, `1.0`.
 */
export interface WireSignature {
  /** The task's name. */
  readonly task: string;
  /** Arguments by position. */
  readonly args: readonly unknown[];
  /** Arguments by name. */
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** applyAsync options in Celery's own spelling (`task_id`, `queue`, `link_error`, …). */
  readonly options: Readonly<Record<string, unknown>>;
  /** "chain", "group", "chord", or null for a plain task. */
  readonly subtask_type: string | null;
  /** Whether it takes nothing from what precedes it. */
  readonly immutable: boolean;
}

/** The third part of a task's body: what follows the task. `chain` is reversed: the next task is the LAST element. */
export interface Embed {
  readonly callbacks: readonly WireSignature[] | null;
  readonly errbacks: readonly WireSignature[] | null;
  readonly chain: readonly WireSignature[] | null;
  readonly chord: WireSignature | null;
}

/** Nothing follows. */
export const NO_EMBED: Embed = { callbacks: null, errbacks: null, chain: null, chord: null };
