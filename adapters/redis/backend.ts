/**
 * Celery's result backend in Redis, over any carrier of commands.
 *
 * @module
 */
import type { Backend, Facts, ResultRecord } from "../../src/backend.ts";
import type { Call } from "../../src/broker.ts";
import { DecodeError } from "../../src/errors.ts";
import type { BasePlatform } from "../../src/lib/port.ts";
import { Batch } from "./batch.ts";
import type { Command, CommandOptions, Commands, Feed, FeedListener } from "./client.ts";
import { RedisFacts } from "./facts.ts";
import { closed, fault, late, misfit, refusal, type Subject } from "./fault.ts";
import type { Keys } from "./keys.ts";
import { Patience } from "./patience.ts";
import { readRecord } from "./record.ts";
import { runScript, STORE_RESULTS } from "./scripts.ts";
import { Watcher, type WatcherOptions } from "./watcher.ts";

/** What the backend stands on. Durations are ms. */
export interface RedisBackendParts {
  readonly commands: Commands;
  /** Undefined where there is no pub/sub: `watch` polls then. */
  feed(listener: FeedListener): Feed | undefined;
  readonly subject: Subject;
  readonly keys: Keys;
  readonly platform: BasePlatform;
  readonly pollInterval: number;
  /**
   * Where calls may not share anything (workerd): each `watch` has a feed and a poll of its own, at this pace ({@link WatcherOptions}), and
   * its end, or that of any call with a signal or deadline, ends its requests.
   *
   * @default one feed and one poll for all
   */
  readonly pace?: WatcherOptions["pace"];
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
  /** The one for all, or those of the present waits. */
  readonly #watchers: Set<Watcher> = new Set();
  /** Single commands under way, which `close` waits for. */
  readonly #singles: Set<Promise<unknown>> = new Set();

  constructor(parts: RedisBackendParts) {
    const { commands, keys, platform: { clock }, subject } = parts;
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
    let push = false;
    if (parts.pace === undefined) {
      this.#watchers.add(
        new Watcher({
          ...this.#watching((taskIds) =>
            Promise.all(taskIds.map((taskId) => this.#reads.add(keys.result(taskId))))
          ),
          feed: (listener) => {
            const feed = parts.feed(listener);
            push = feed !== undefined;
            return feed;
          },
        }),
      );
    }
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
    const write = {
      key: this.#parts.keys.result(record.taskId),
      text: record.text,
      // Celery takes 0 for "for ever"; what is under a millisecond is not that.
      ttl: ttl > 0 && Number.isFinite(ttl) ? Math.ceil(ttl) : 0,
    };
    return this.#inTime(options, () => this.#writes.add(write), async (call) => {
      const [answer] = await this.#store([write], call);
      if (answer instanceof Error) throw answer;
      return answer ?? "stored";
    });
  }

  async load(ids: readonly string[], options: Call = {}): Promise<readonly (ResultRecord | undefined)[]> {
    const { keys } = this.#parts;
    const texts = await this.#inTime(
      options,
      () => Promise.all(ids.map((id) => this.#reads.add(keys.result(id)))),
      (call) => this.#loadAll(ids, call),
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
    const [shared] = this.#watchers;
    if (this.#parts.pace === undefined && shared !== undefined) return shared.watch(ids, options);
    return { [Symbol.asyncIterator]: () => this.#own().watch(ids, options)[Symbol.asyncIterator]() };
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
    await Promise.all([...this.#watchers].map((watcher) => watcher.close(closed(this.#parts.subject))));
    await Promise.all([this.#writes.idle(), Promise.allSettled(this.#singles)]);
    // Reads that are under way end here: nobody is left to want them.
    await this.#parts.commands.close();
  }

  /** A watcher of one wait. */
  #own(): Watcher {
    const stop = new AbortController();
    const watcher: Watcher = new Watcher({
      ...this.#watching((taskIds) => this.#loadAll(taskIds, { signal: stop.signal })),
      ...(this.#parts.pace === undefined ? {} : { pace: this.#parts.pace }),
      feed: (listener) => this.#parts.feed(listener),
      onBusy: (busy) => {
        if (busy) return void this.#watchers.add(watcher);
        this.#watchers.delete(watcher);
        stop.abort();
        void watcher.close(closed(this.#parts.subject));
      },
    });
    return watcher;
  }

  #watching(read: WatcherOptions["read"]): Omit<WatcherOptions, "feed"> {
    const { keys, platform: { clock }, pollInterval } = this.#parts;
    return {
      clock,
      pollInterval,
      channel: (taskId) => keys.result(taskId),
      taskId: (channel) => keys.taskId(channel),
      read,
    };
  }

  /** A repeat writes the same again: it can only say "kept" where the first, whose answer was lost, stored. */
  async #store(items: readonly Write[], call: Call = {}): Promise<readonly ("stored" | "kept" | Error)[]> {
    const { commands, subject } = this.#parts;
    const keys = items.map(({ key }) => key);
    const args = items.flatMap(({ text, ttl }) => [text, ttl]);
    let answers: unknown;
    try {
      answers = await runScript(commands, STORE_RESULTS, keys, args, {
        ...call,
        repeatable: true,
        patient: true,
      });
    } catch (error) {
      call.signal?.throwIfAborted();
      throw fault(error, subject);
    }
    // A server over HTTP may answer anything.
    if (!Array.isArray(answers) || answers.length !== items.length) throw misfit(subject);
    return (answers as readonly unknown[]).map((answer) => {
      if (answer === 1) return "stored";
      if (answer === 0) return "kept";
      return fault(refusal(answer), subject);
    });
  }

  /** The texts of any number of results, by requests of this call alone. */
  async #loadAll(ids: readonly string[], call: Call): Promise<readonly (string | undefined)[]> {
    const keys = ids.map((id) => this.#parts.keys.result(id));
    const texts: (string | undefined)[] = [];
    while (texts.length < keys.length) {
      texts.push(...await this.#load(keys.slice(texts.length, texts.length + READS), call));
    }
    return texts;
  }

  async #load(keys: readonly string[], call: Call = {}): Promise<readonly (string | undefined)[]> {
    const { commands, subject } = this.#parts;
    const [answer] = await commands.run([["mget", ...keys]], { ...call, repeatable: true });
    if (answer instanceof Error) throw fault(answer, subject);
    return (answer as readonly (string | null)[]).map((text) => text ?? undefined);
  }

  /** Calls without limits of their own settle with their batch; the others race it, or go alone. */
  #inTime<T>(call: Call, action: () => Promise<T>, alone: (call: Call) => Promise<T>): Promise<T> {
    const { signal, deadline } = call;
    if (signal === undefined && deadline === undefined) return action();
    if (this.#parts.pace === undefined) return this.#raced(call, action);
    return alone({ ...(signal && { signal }), ...(deadline === undefined ? {} : { deadline }) });
  }

  async #raced<T>({ signal, deadline }: Call, action: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    const { platform: { clock }, subject } = this.#parts;
    const waited = (deadline ?? Infinity) - clock.now();
    if (waited <= 0) throw late("an answer", 0, subject);
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
