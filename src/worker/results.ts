/**
 * Stores what tasks come to; a backend in trouble is told of and tried again, and what it does not take is kept meanwhile.
 *
 * @module
 */
import type { Backend, ResultRecord } from "../backend.ts";
import { ConnectionError, TimeoutError } from "../errors.ts";
import { deferred } from "../lib/deferred.ts";
import type { Logger } from "../lib/logger.ts";
import type { Clock, Random, Timer } from "../lib/port.ts";
import { READY_STATES } from "../protocol/result.ts";
import type { Settings } from "../app/settings.ts";
import { exceptionRepr } from "./lines.ts";
import { failed } from "./outcome.ts";
import { type Kept, Spool } from "./spool.ts";

/** What a line is about; asked only when there is a line. */
export interface Subject {
  /** `tasks.add[id]`. */
  readonly label: string;
  /** For structured sinks. */
  readonly about: { readonly taskId: string; readonly taskName: string };
}

/** What a worker could not store yet. */
export interface UnstoredResults {
  /** Results that are kept in memory, to be stored. */
  readonly waiting: number;
  /** The length of their texts. */
  readonly bytes: number;
  /** Results that were given up since the worker began. */
  readonly dropped: number;
}

/** What the results of one worker need. */
export interface ResultsParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly settings: () => Settings;
  readonly backend: () => Backend | undefined;
}

/** How a state is stored. */
export interface StoreOptions {
  readonly replyTo: string | null;
  /** Wait until it is stored, or given up: for so many ms at most. */
  readonly patience?: number;
}

interface Entry extends Kept {
  readonly record: ResultRecord;
  readonly replyTo: string | null;
  readonly subject: Subject;
  readonly since: number;
  tries: number;
  /** Who waits for it. */
  readonly waiting: ((stored: boolean) => void)[];
}

/** How many are tried at a time. */
const AT_ONCE = 16;

/** The results of one worker. */
export class Results {
  readonly #parts: ResultsParts;
  #spool: Spool<Entry> | undefined;
  #dropped = 0;
  /** Since the backend failed it is not asked anew for each result. */
  #down = false;
  #rounds = 0;
  #timer: Timer | undefined;
  #draining: Promise<void> | undefined;
  #ended = false;
  #empty: (() => void) | undefined;

  constructor(parts: ResultsParts) {
    this.#parts = parts;
  }

  /** What is not stored yet. */
  get unstored(): UnstoredResults {
    return { waiting: this.#spool?.size ?? 0, bytes: this.#spool?.bytes ?? 0, dropped: this.#dropped };
  }

  /** Whether the state is stored when the promise resolves, which never rejects. False: it is kept, to be stored later, or was given up. */
  save(record: ResultRecord, subject: Subject, options: StoreOptions): Promise<boolean> {
    const backend = this.#parts.backend();
    if (backend === undefined) return Promise.resolve(true);
    // An older state of the task that waits must not come after this one.
    if (!this.#isDown && this.#spool?.get(record.taskId) === undefined) {
      return this.#store(backend, record, options.replyTo).then(
        yes,
        (error: unknown) => this.#failed(record, subject, options, error),
      );
    }
    if (isWorthKeeping(record)) this.#tell(record, subject, "the backend is out of reach", true);
    return this.#keep(record, subject, options);
  }

  /**
   * Waits until `work`, which may still store, has ended and nothing is left to be stored, but no longer than `patience` ms; gives up what is
   * left. Nothing is kept afterwards.
   */
  async end(patience: number, work: Promise<unknown>): Promise<void> {
    const { promise: late, resolve } = deferred<void>();
    const timer = this.#parts.clock.after(patience, resolve);
    // Now, and not when the last pause is over.
    this.#rounds = 0;
    this.#stopTimer();
    this.#arm();
    await Promise.race([late, work.then(() => this.#emptied())]);
    timer.cancel();
    this.#ended = true;
    this.#stopTimer();
    for (const entry of [...this.#spool ?? []]) {
      if (this.#spool?.delete(entry) === true) this.#giveUp(entry, "the worker stops");
    }
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #emptied(): Promise<void> {
    if ((this.#spool?.size ?? 0) === 0) return Promise.resolve();
    return new Promise((resolve) => this.#empty = resolve);
  }

  /** What a backend throws at once is an error like another. */
  #store(backend: Backend, record: ResultRecord, replyTo: string | null): Promise<unknown> {
    const ttl = this.#parts.settings().resultExpires;
    try {
      return backend.store(record, replyTo === null ? { ttl } : { ttl, replyTo });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #failed(
    record: ResultRecord,
    subject: Subject,
    options: StoreOptions,
    error: unknown,
  ): Promise<boolean> {
    const isPassing = error instanceof ConnectionError || error instanceof TimeoutError;
    const keeps = isPassing && isWorthKeeping(record) && !this.#ended;
    if (keeps && isOutage(error)) this.#down = true;
    const { exception, traceback } = failed(error);
    this.#tell(record, subject, exceptionRepr(exception), keeps, { error, traceback });
    if (keeps) return await this.#keep(record, subject, options);
    if (isWorthKeeping(record)) this.#dropped++;
    return false;
  }

  #tell(
    { status }: ResultRecord,
    { about, label }: Subject,
    why: string,
    keeps: boolean,
    more: Readonly<Record<string, unknown>> = {},
  ): void {
    const line = `Couldn't store ${status} of task ${label}: ${why}`;
    this.#parts.logger.log("error", keeps ? `${line}. It is kept, and tried again.` : line, {
      ...about,
      code: "result-store-failed",
      ...more,
    });
  }

  /** A state that does not last is not kept: the next one comes, or has come. */
  async #keep(record: ResultRecord, subject: Subject, { replyTo, patience }: StoreOptions): Promise<boolean> {
    if (!isWorthKeeping(record)) return false;
    const { clock } = this.#parts;
    const { promise, resolve } = deferred<boolean>();
    const entry: Entry = {
      ...record,
      record,
      replyTo,
      subject,
      since: clock.now(),
      tries: 0,
      waiting: [resolve],
    };
    for (const gone of this.#kept.add(entry)) {
      if (gone.taskId === entry.taskId && gone !== entry) {
        for (const tell of gone.waiting) void promise.then(tell);
      } else this.#giveUp(gone, "too many wait");
    }
    if (this.#ended && this.#kept.delete(entry)) this.#giveUp(entry, "the worker stops");
    this.#arm();
    if (patience === undefined) return false;
    if (patience === Infinity) return await promise;
    const timer = clock.after(patience, () => {
      if (this.#kept.delete(entry)) this.#giveUp(entry, "its task waited for it too long");
    });
    return await promise.finally(() => timer.cancel());
  }

  get #isDown(): boolean {
    // With nothing to try again nobody would learn that it is back.
    return this.#down && this.#kept.size > 0;
  }

  get #kept(): Spool<Entry> {
    const { resultSpoolMaxBytes: bytes, resultSpoolMaxRecords: records } = this.#parts.settings();
    return this.#spool ??= new Spool<Entry>({ records, bytes });
  }

  #arm(): void {
    if (this.#kept.size === 0) this.#empty?.();
    if (this.#timer !== undefined || this.#draining !== undefined || this.#kept.size === 0 || this.#ended) {
      return;
    }
    this.#timer = this.#parts.clock.after(this.#wait(), () => void this.#drain(), { keepAlive: false });
  }

  /** Celery's backoff with full jitter (`get_exponential_backoff_interval`), and never none. */
  #wait(): number {
    const settings = this.#parts.settings();
    const base = settings.resultBackendBaseSleepBetweenRetriesMs;
    const most = Math.min(
      settings.resultBackendMaxSleepBetweenRetriesMs,
      base * 2 ** Math.min(this.#rounds, 30),
    );
    return Math.max(1, Math.ceil(most * this.#parts.random.next()));
  }

  #drain(): Promise<void> {
    this.#timer = undefined;
    return this.#draining ??= this.#round().finally(() => {
      this.#draining = undefined;
      this.#arm();
    });
  }

  /** Tries each once; where the backend cannot be reached, no more of them than are tried at a time. */
  async #round(): Promise<void> {
    const backend = this.#parts.backend();
    const all = [...this.#kept];
    let stored = 0;
    this.#rounds++;
    for (let at = 0; at < all.length && backend !== undefined; at += AT_ONCE) {
      const tried = await Promise.all(all.slice(at, at + AT_ONCE).map((entry) => this.#try(backend, entry)));
      stored += tried.filter((outcome) => outcome === "stored").length;
      this.#down = tried.every((outcome) => outcome === "outage");
      if (this.#down) break;
    }
    if (stored === 0) return;
    this.#rounds = 0;
    this.#parts.logger.log("info", `Stored ${stored} results that had been kept; ${this.#kept.size} wait.`);
  }

  async #try(backend: Backend, entry: Entry): Promise<"stored" | "outage" | "refused" | "gone"> {
    const { resultBackendMaxRetries: most, resultExpires = Infinity } = this.#parts.settings();
    if (!this.#kept.has(entry)) return "gone";
    try {
      await this.#store(backend, entry.record, entry.replyTo);
      this.#kept.delete(entry);
      for (const tell of entry.waiting) tell(true);
      return "stored";
    } catch (error) {
      entry.tries++;
      const old = this.#parts.clock.now() - entry.since >= resultExpires;
      const why = entry.tries >= most
        ? `${entry.tries} tries failed`
        : old
        ? "it would have expired"
        : undefined;
      if (why !== undefined && this.#kept.delete(entry)) this.#giveUp(entry, why);
      return isOutage(error) ? "outage" : "refused";
    }
  }

  #giveUp({ subject, status, waiting }: Entry, why: string): void {
    this.#dropped++;
    const line = `Gave up storing ${status} of task ${subject.label}: ${why}.`;
    this.#parts.logger.log("error", line, { ...subject.about, code: "result-dropped" });
    for (const tell of waiting) tell(false);
  }
}

function yes(): true {
  return true;
}

/** What is asked for long after: a final state. RETRY, stored late, would land on how the retry has ended elsewhere. */
function isWorthKeeping({ status }: ResultRecord): boolean {
  return READY_STATES.has(status);
}

/** Whether no other result would fare better. */
function isOutage(error: unknown): boolean {
  return (error instanceof ConnectionError || error instanceof TimeoutError) &&
    error.code !== "backend-refused";
}
