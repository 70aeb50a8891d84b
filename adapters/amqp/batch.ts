/**
 * One call of `publish`: a promise for all its verdicts, each given once.
 *
 * @module
 */
import type { Outgoing, Verdict } from "../../src/broker.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";

/** One message on its way. */
export class Publication {
  readonly outgoing: Outgoing;
  #batch: Batch | undefined;
  readonly #index: number;
  /** The outbox's `flushes` when it was written there; undefined while it waits. */
  flushes: number | undefined;

  constructor(outgoing: Outgoing, batch: Batch, index: number) {
    this.outgoing = outgoing;
    this.#batch = batch;
    this.#index = index;
  }

  /** Whether its verdict was given. */
  get settled(): boolean {
    return this.#batch === undefined;
  }

  /** Gives the verdict; only the first one counts. */
  settle(verdict: Verdict): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    batch.give(this.#index, verdict);
  }
}

/** The verdicts of one call. */
export class Batch {
  readonly #verdicts: Verdict[];
  readonly #done: Deferred<readonly Verdict[]> = deferred();
  readonly #finished: (batch: Batch) => void;
  #left: number;
  readonly publications: readonly Publication[];
  /** ms since the epoch. */
  readonly deadline: number;

  constructor(outgoings: readonly Outgoing[], deadline: number, finished: (batch: Batch) => void) {
    this.#left = outgoings.length;
    this.#verdicts = new Array<Verdict>(outgoings.length);
    this.#finished = finished;
    this.deadline = deadline;
    this.publications = outgoings.map((outgoing, index) => new Publication(outgoing, this, index));
  }

  /** All verdicts, in the order of the messages. */
  get verdicts(): Promise<readonly Verdict[]> {
    return this.#done.promise;
  }

  /** For {@link Publication.settle}. */
  give(index: number, verdict: Verdict): void {
    this.#verdicts[index] = verdict;
    if (--this.#left > 0) return;
    this.#finished(this);
    this.#done.resolve(this.#verdicts);
  }
}
