/**
 * Celery's result backend in Redis, over any carrier of commands.
 *
 * @module
 */
import type { Backend, Facts, ResultRecord } from "../../src/backend.ts";
import type { Call } from "../../src/broker.ts";
import { DecodeError } from "../../src/errors.ts";
import type { Platform } from "../../src/lib/port.ts";
import { Batch } from "./batch.ts";
import type { Command, CommandOptions, Commands, Feed, FeedListener } from "./client.ts";
import { RedisFacts } from "./facts.ts";
import { closed, fault, late, refusal, type Subject } from "./fault.ts";
import type { Keys } from "./keys.ts";
import { Patience } from "./patience.ts";
import { readRecord } from "./record.ts";
import { runScript, STORE_RESULTS } from "./scripts.ts";
import { Watcher } from "./watcher.ts";

/** What the backend stands on. Durations are ms. */
export interface RedisBackendParts {
  readonly commands: Commands;
  /** Undefined where there is no pub/sub: `watch` polls then. */
  feed(listener: FeedListener): Feed | undefined;
  readonly subject: Subject;
  readonly keys: Keys;
  readonly platform: Platform;
  readonly pollInterval: number;
}

interface Write {
  readonly key: string;
  readonly text: string;
  /** Whole ms; 0 is for ever. */
  readonly ttl: number;
}

/** A script blocks the server while it runs: so many results are written by one, and so many characters. */
const WRITES = { most: 100, heaviest: 512 * 1024 };

/** Keys in one MGET or DEL. */
const READS = 1000;

/** The {@link Backend}; see the module. */
export class RedisBackend implements Backend {
  readonly transport = "redis";
  readonly address: string;
  readonly features: Backend["features"];
  readonly facts: Facts;
  readonly #parts: RedisBackendParts;
  readonly #writes: Batch<Write, "stored" | "kept">;
  readonly #reads: Batch<string, string | undefined>;
  readonly #watcher: Watcher;
  /** Single commands under way, which `close` waits for. */
  readonly #singles: Set<Promise<unknown>> = new Set();

  constructor(parts: RedisBackendParts) {
    const { commands, keys, platform: { clock }, pollInterval, subject } = parts;
    this.#parts = parts;
    this.address = subject.address;
    this.#writes = new Batch({
      clock,
      ...WRITES,
      weigh: ({ text }) => text.length,
      send: (items) => this.#store(items),
    });
    this.#reads = new Batch({
      clock,
      most: READS,
      heaviest: Infinity,
      weigh: () => 0,
      send: (items) => this.#load(items),
    });
    let push = true;
    this.#watcher = new Watcher({
      clock,
      pollInterval,
      channel: (taskId) => keys.result(taskId),
      taskId: (channel) => keys.taskId(channel),
      read: (taskIds) => Promise.all(taskIds.map((taskId) => this.#reads.add(keys.result(taskId)))),
      feed: (listener) => {
        const feed = parts.feed(listener);
        push = feed !== undefined;
        return feed;
      },
    });
    this.features = { push, chord: "none", shared: true };
    this.facts = new RedisFacts(
      { run: (...args) => this.#single(...args), close: () => commands.close() },
      keys,
      subject,
    );
  }

  store(
    record: ResultRecord,
    options: Call & { readonly ttl: number | undefined; readonly replyTo?: string },
  ): Promise<"stored" | "kept"> {
    const { ttl = 0 } = options;
    return this.#inTime(options, () =>
      this.#writes.add({
        key: this.#parts.keys.result(record.taskId),
        text: record.text,
        // Celery takes 0 for "for ever"; what is under a millisecond is not that.
        ttl: ttl > 0 && Number.isFinite(ttl) ? Math.ceil(ttl) : 0,
      }));
  }

  async load(ids: readonly string[], options: Call = {}): Promise<readonly (ResultRecord | undefined)[]> {
    const { keys } = this.#parts;
    const texts = await this.#inTime(
      options,
      () => Promise.all(ids.map((id) => this.#reads.add(keys.result(id)))),
    );
    return ids.map((id, at) => {
      const text = texts[at];
      if (text === undefined) return undefined;
      const found = readRecord(id, text);
      if (found instanceof Error) throw unreadable(id, found);
      return found;
    });
  }

  watch(ids: readonly string[], options: Call = {}): AsyncIterable<ResultRecord> {
    return this.#watcher.watch(ids, options);
  }

  async forget(ids: readonly string[]): Promise<void> {
    const { keys, subject } = this.#parts;
    const all = [...ids];
    while (all.length > 0) {
      const part = all.splice(0, READS).map((id) => keys.result(id));
      const [answer] = await this.#single([["del", ...part]], { repeatable: true });
      if (answer instanceof Error) throw fault(answer, subject);
    }
  }

  async close(): Promise<void> {
    await this.#watcher.close(closed(this.#parts.subject));
    await Promise.all([this.#writes.idle(), Promise.allSettled(this.#singles)]);
    // Reads that are under way end here: nobody is left to want them.
    await this.#parts.commands.close();
  }

  /** A repeat writes the same again: it can only say "kept" where the first, whose answer was lost, stored. */
  async #store(items: readonly Write[]): Promise<readonly ("stored" | "kept" | Error)[]> {
    const { commands, subject } = this.#parts;
    const keys = items.map(({ key }) => key);
    const args = items.flatMap(({ text, ttl }) => [text, ttl]);
    let answers: unknown;
    try {
      answers = await runScript(commands, STORE_RESULTS, keys, args, { repeatable: true, patient: true });
    } catch (error) {
      throw fault(error, subject);
    }
    return (answers as readonly unknown[]).map((answer) => {
      if (answer === 1) return "stored";
      if (answer === 0) return "kept";
      return fault(refusal(answer), subject);
    });
  }

  async #load(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    const { commands, subject } = this.#parts;
    const [answer] = await commands.run([["mget", ...keys]], { repeatable: true });
    if (answer instanceof Error) throw fault(answer, subject);
    return (answer as readonly (string | null)[]).map((text) => text ?? undefined);
  }

  /** Calls without limits of their own settle with their batch; the others race it. */
  #inTime<T>(call: Call, action: () => Promise<T>): Promise<T> {
    return call.signal === undefined && call.deadline === undefined ? action() : this.#raced(call, action);
  }

  async #raced<T>({ signal, deadline }: Call, action: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    const { platform: { clock }, subject } = this.#parts;
    const waited = (deadline ?? 0) - clock.now();
    const patience = new Patience(clock, {
      signal,
      deadline,
      late: () => late("an answer", waited, subject),
    });
    try {
      return await patience.for(action());
    } finally {
      patience.end();
    }
  }

  async #single(commands: readonly Command[], options: CommandOptions): Promise<readonly unknown[]> {
    const running = this.#parts.commands.run(commands, options);
    this.#singles.add(running);
    try {
      return await running;
    } finally {
      this.#singles.delete(running);
    }
  }
}

function unreadable(id: string, cause: Error): DecodeError {
  return new DecodeError(
    "decode-result",
    `What is stored as the result of task ${id} is none: ${cause.message}`,
    { cause },
  );
}
