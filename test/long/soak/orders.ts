/**
 * What a process of the soak is told, and the kinds of task that go through it.
 *
 * @module
 */

/** The kinds: `early` is acked before it runs, all others late. `first` has a `second` linked to it. */
export const KINDS = ["early", "late", "eta", "failing", "first"] as const;

/** One of them. */
export type Kind = typeof KINDS[number];

/** The task that a `first` is followed by. */
export const SECOND = "second";

/** The id of what follows the task of that id. */
export function followerOf(id: string): string {
  return `${id}.${SECOND}`;
}

/** See the module. */
export interface Orders {
  readonly kind: "rabbit" | "redis";
  readonly name: string;
  readonly broker: string;
  readonly backend: string;
  readonly queue: string;
  readonly concurrency: number;
  /** The file descriptor of its record. */
  readonly log: number;
  /** Between two samples of its heap, ms. */
  readonly every: number;
}
