/**
 * One wait for results: the iterator of one loop.
 *
 * @module
 */
import type { ResultRecord } from "../../src/backend.ts";
import type { Call } from "../../src/broker.ts";
import { TimeoutError } from "../../src/errors.ts";
import type { Clock, Timer } from "../../src/lib/port.ts";

/** Where waits are kept while they last. */
export interface Waits {
  /** Begins to wait. */
  join(waiter: Waiter): void;
  /** Ends the waiting. */
  leave(waiter: Waiter): void;
}

/** One wait; `waits` tells it what it learns. */
export class Waiter implements AsyncIterator<ResultRecord> {
  readonly taskIds: ReadonlySet<string>;
  /** Whether a read or a message came through since it waits: later trouble is waited out. */
  served = false;
  readonly #waits: Waits;
  readonly #call: Call;
  readonly #clock: Clock;
  readonly #queue: ResultRecord[] = [];
  readonly #last: Map<string, string> = new Map();
  #pending: { resolve(step: IteratorResult<ResultRecord>): void; reject(reason: unknown): void }[] = [];
  #state: "new" | "waiting" | "failed" | "over" = "new";
  #error: unknown;
  #timer: Timer | undefined;

  constructor(waits: Waits, taskIds: ReadonlySet<string>, call: Call, clock: Clock) {
    this.#waits = waits;
    this.taskIds = taskIds;
    this.#call = call;
    this.#clock = clock;
  }

  next(): Promise<IteratorResult<ResultRecord>> {
    if (this.#state === "new") this.#begin();
    const record = this.#queue.shift();
    if (record !== undefined) return Promise.resolve({ value: record, done: false });
    if (this.#state === "over") return Promise.resolve({ value: undefined, done: true });
    if (this.#state === "failed") {
      this.#state = "over";
      return Promise.reject(this.#error);
    }
    return new Promise((resolve, reject) => this.#pending.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<ResultRecord>> {
    this.#stop("over");
    for (const { resolve } of this.#pending.splice(0)) resolve({ value: undefined, done: true });
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Whether it is what the wait saw last. */
  has(record: ResultRecord): boolean {
    return this.#last.get(record.taskId) === record.text;
  }

  /** One more record; the same one again is not yielded. */
  push(record: ResultRecord): void {
    if (this.#state !== "waiting" || this.has(record)) return;
    this.served = true;
    this.#last.set(record.taskId, record.text);
    const pending = this.#pending.shift();
    if (pending === undefined) this.#queue.push(record);
    else pending.resolve({ value: record, done: false });
  }

  /** Ends the wait with an error; what was pushed before is yielded before. */
  fail(error: unknown): void {
    if (this.#state !== "waiting") return;
    const pending = this.#pending.shift();
    this.#stop(pending === undefined ? "failed" : "over");
    this.#error = error;
    pending?.reject(error);
    for (const { resolve } of this.#pending.splice(0)) resolve({ value: undefined, done: true });
  }

  #begin(): void {
    this.#state = "waiting";
    const { signal, deadline } = this.#call;
    if (signal?.aborted) return this.fail(signal.reason);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (deadline !== undefined) {
      const late = new TimeoutError("watch-timeout", "No final result was stored before the deadline.");
      this.#timer = this.#clock.after(deadline - this.#clock.now(), () => this.fail(late));
    }
    this.#waits.join(this);
  }

  #stop(state: "failed" | "over"): void {
    const begun = this.#state === "waiting";
    this.#state = state;
    if (!begun) return;
    this.#timer?.cancel();
    this.#call.signal?.removeEventListener("abort", this.#onAbort);
    this.#waits.leave(this);
  }

  readonly #onAbort = (): void => {
    // What was seen already does not matter any more to one who gave up.
    this.#queue.length = 0;
    this.fail(this.#call.signal?.reason);
  };
}
