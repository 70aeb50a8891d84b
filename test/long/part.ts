/**
 * What `npm run test:long` is made of: a part is a file of this folder that exports `part`.
 *
 * @module
 */
import type { PrivateServer, RabbitServer } from "../support/servers.ts";

/** One long test. */
export interface Part {
  /** Also the name of its file. */
  readonly name: string;
  /** What it shows, in one sentence; stands in the record. */
  readonly what: string;
  /** Private servers that are started for it, and for it alone. */
  readonly needs: readonly ("rabbit" | "redis")[];
  /** Runs unless told otherwise: sequences, seeds, kills. */
  readonly runs: number;
  /** Throws when something is wrong, with all that is needed to see it again. */
  run(task: Task): Promise<Outcome>;
}

/** What a part is told. */
export interface Task {
  readonly runs: number;
  readonly seed: number;
  /** Replays one run, where the part knows paths. */
  readonly path: string | undefined;
  /** Begin nothing new after this instant of `performance.now()`. */
  readonly until: number;
  /** A line of progress; the runner lets few of them through. */
  say(text: string): void;
  /** The server that the part needs; throws for one that it does not name. */
  rabbit(): RabbitServer;
  redis(): PrivateServer;
}

/** What a part did. */
export interface Outcome {
  /** Runs completed; fewer than asked for when the time was over. */
  readonly runs: number;
  readonly seeds: readonly number[];
  /** Figures of its own. */
  readonly counts: Readonly<Record<string, number | string>>;
  /** How often each class of events occurred. One that never did is a failure. */
  readonly coverage: Readonly<Record<string, number>>;
  /** What became of each test, by its name, where the part is about tests. */
  readonly tests?: Readonly<Record<string, unknown>>;
}
