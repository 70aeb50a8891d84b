/**
 * Waiting for results: told by the feed, checked by a slow poll, so that neither a lost message nor a lost subscription hangs a wait.
 *
 * @module
 */
import type { ResultRecord } from "../../src/backend.ts";
import type { Call } from "../../src/broker.ts";
import type { CeleriacError } from "../../src/errors.ts";
import type { Clock, Timer } from "../../src/lib/port.ts";
import { READY_STATES } from "../../src/protocol/result.ts";
import type { Feed, FeedListener } from "./client.ts";
import { type Found, readRecord } from "./record.ts";
import { Waiter, type Waits } from "./waiter.ts";

/** What a watcher needs of its backend. */
export interface WatcherOptions {
  readonly clock: Clock;
  /** ms. */
  readonly pollInterval: number;
  /**
   * Where each wait has a watcher of its own: reads before it listens, so that what is there already costs one command, and polls after
   * these ms. `polls` counts the reads so far, `told` says whether the feed tells of every task that is waited for.
   *
   * @default listens first, and polls every `pollInterval`
   */
  readonly pace?: (polls: number, told: boolean) => number;
  /** Called when the first wait begins and when the last one has ended. */
  readonly onBusy?: (busy: boolean) => void;
  channel(taskId: string): string;
  taskId(channel: string): string | undefined;
  /** Reads the stored texts, in the order of the ids. */
  read(taskIds: readonly string[]): Promise<readonly (string | undefined)[]>;
  /** Undefined where there is no pub/sub: the poll alone tells. */
  feed(listener: FeedListener): Feed | undefined;
}

/** One task that somebody waits for. */
interface Entry {
  readonly taskId: string;
  readonly waiters: Set<Waiter>;
  /** Counts messages: what was read before the last one is old. */
  messages: number;
  /** SUCCESS was seen, which is never overwritten: what else comes is old. */
  done: boolean;
  /** What was seen last is a final state. */
  final: boolean;
}

/** All waits of a backend; see the module. */
export class Watcher implements Waits {
  readonly #options: WatcherOptions;
  readonly #feed: Feed | undefined;
  readonly #entries: Map<string, Entry> = new Map();
  #poll: Timer | undefined;
  #round = 0;
  #polls = 0;
  /** The read of a poll is under way: the next one is timed from its end, so that a slow server is not asked twice at a time. */
  #polling = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#feed = options.feed({
      message: (channel, text) => this.#message(channel, text),
      heard: (channels) => this.#heard(channels),
      failed: () => {
        void this.#look([...this.#entries.values()].filter(isUnread));
        this.#repace();
      },
    });
  }

  /** As the contract says: listens, reads once, then yields each change. Nothing begins before the first `next()`. */
  watch(taskIds: readonly string[], call: Call = {}): AsyncIterable<ResultRecord> {
    return { [Symbol.asyncIterator]: () => new Waiter(this, new Set(taskIds), call, this.#options.clock) };
  }

  /** Ends every wait with `reason`. */
  async close(reason: CeleriacError): Promise<void> {
    for (const waiter of new Set([...this.#entries.values()].flatMap(({ waiters }) => [...waiters]))) {
      waiter.fail(reason);
    }
    await this.#feed?.close();
  }

  /** Begins to wait; called by the waiter. */
  join(waiter: Waiter): void {
    const ready: Entry[] = [];
    if (this.#entries.size === 0) this.#options.onBusy?.(true);
    for (const taskId of waiter.taskIds) {
      let entry = this.#entries.get(taskId);
      if (entry === undefined) {
        entry = { taskId, waiters: new Set(), messages: 0, done: false, final: false };
        this.#entries.set(taskId, entry);
      }
      entry.waiters.add(waiter);
      const channel = this.#options.channel(taskId);
      const readsNow = this.#options.pace !== undefined || this.#feed?.hears(channel) !== false;
      if (readsNow) ready.push(entry);
      else this.#feed?.add(channel);
    }
    const looked = this.#look(ready);
    if (this.#options.pace !== undefined) void looked.then(() => this.#listen(ready));
    this.#schedule();
  }

  /** Listens for those that are still waited for. */
  #listen(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (this.#entries.get(entry.taskId) !== entry || entry.final) continue;
      this.#feed?.add(this.#options.channel(entry.taskId));
    }
  }

  /** Ends the waiting; called by the waiter. */
  leave(waiter: Waiter): void {
    for (const taskId of waiter.taskIds) {
      const entry = this.#entries.get(taskId);
      if (entry === undefined || !entry.waiters.delete(waiter) || entry.waiters.size > 0) continue;
      this.#entries.delete(taskId);
      this.#feed?.remove(this.#options.channel(taskId));
    }
    if (this.#entries.size > 0) return;
    this.#round += 1;
    this.#poll?.cancel();
    this.#poll = undefined;
    this.#polling = false;
    this.#options.onBusy?.(false);
  }

  #message(channel: string, text: string): void {
    const entry = this.#entry(channel);
    if (entry === undefined) return;
    const found = readRecord(entry.taskId, text);
    // Anybody may publish anything; what is stored decides then.
    if (found instanceof Error) return void this.#look([entry]);
    entry.messages += 1;
    deliver(entry, found);
  }

  #heard(channels: readonly string[]): void {
    void this.#look(channels.map((channel) => this.#entry(channel)).filter((entry) => entry !== undefined));
    this.#repace();
  }

  #entry(channel: string): Entry | undefined {
    const taskId = this.#options.taskId(channel);
    return taskId === undefined ? undefined : this.#entries.get(taskId);
  }

  /** Reads what is stored and tells those who wait for it. Who never got anything gets the error; the others go on waiting. */
  async #look(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return;
    const before = entries.map(({ messages }) => messages);
    const waiting = entries.map(({ waiters }) => [...waiters]);
    let texts: readonly (string | undefined)[];
    try {
      texts = await this.#options.read(entries.map(({ taskId }) => taskId));
    } catch (error) {
      for (const waiter of new Set(waiting.flat())) if (!waiter.served) waiter.fail(error);
      return;
    }
    for (const waiter of new Set(waiting.flat())) waiter.served = true;
    const passing: { entry: Entry; messages: number; record: ResultRecord }[] = [];
    entries.forEach((entry, index) => {
      const text = texts[index];
      if (text === undefined) return;
      const found = readRecord(entry.taskId, text);
      if (found instanceof Error || READY_STATES.has(found.status)) deliver(entry, found);
      else if (isNews(entry, found)) passing.push({ entry, messages: before[index] ?? 0, record: found });
    });
    if (passing.length === 0) return;
    // A message that was published before the read may still be on its way: told after it, states would run backwards.
    await this.#feed?.fence();
    for (const { entry, messages, record } of passing) {
      if (entry.messages === messages) deliver(entry, record);
    }
  }

  #schedule(): void {
    if (this.#poll !== undefined || this.#polling) return;
    const round = this.#round;
    const { clock, pace, pollInterval } = this.#options;
    const told = [...(pace === undefined ? [] : this.#entries.keys())]
      .every((taskId) => this.#feed?.hears(this.#options.channel(taskId)) === true);
    this.#poll = clock.after(pace?.(this.#polls, told) ?? pollInterval, () => {
      this.#poll = undefined;
      this.#polling = true;
      this.#polls += 1;
      void this.#feed?.fence();
      void this.#look([...this.#entries.values()]).then(() => {
        if (round !== this.#round) return;
        this.#polling = false;
        this.#schedule();
      });
    });
  }

  /** The feed tells from now on, or no more: the poll that waits may be too early or too late. */
  #repace(): void {
    if (this.#options.pace === undefined || this.#entries.size === 0) return;
    this.#polls = 0;
    this.#poll?.cancel();
    this.#poll = undefined;
    this.#schedule();
  }
}

function isUnread({ waiters }: Entry): boolean {
  for (const waiter of waiters) if (!waiter.served) return true;
  return false;
}

function isNews({ waiters }: Entry, record: ResultRecord): boolean {
  for (const waiter of waiters) if (!waiter.has(record)) return true;
  return false;
}

function deliver(entry: Entry, found: Found): void {
  if (!(found instanceof Error)) {
    if (entry.done && found.status !== "SUCCESS") return;
    entry.done = found.status === "SUCCESS";
    entry.final = READY_STATES.has(found.status);
  }
  for (const waiter of entry.waiters) {
    if (found instanceof Error) waiter.fail(found);
    else waiter.push(found);
  }
}
