/**
 * Puts back what nobody works on any more: what another program claimed and did not settle within the visibility timeout, and what a consumer
 * of ours held that is gone.
 *
 * @module
 */
import { ConnectionError } from "../../../src/errors.ts";
import type { BasePlatform, Timer } from "../../../src/lib/port.ts";
import type { Command, Commands } from "../client.ts";
import { bindingKey } from "../kombu.ts";
import { runScript } from "../scripts.ts";
import { seconds } from "./claim.ts";
import { type LeaseKeys, stemOf } from "./keys.ts";
import { queuesOf, readEntry, type Rescue, restoreCall, type Seen } from "./rescue.ts";

/** Entries of one script. */
const MOST = 100;

/** Entries that one sweep looks at; the rest is left to the next one. */
const MOST_A_SWEEP = 10_000;

/** Characters of one script, and one entry more. */
const ROOM = 4 * 1024 * 1024;

/** The longest pause between two sweeps where nobody says, ms. */
const LONGEST = 30_000;

/** What it stands on. Durations are ms. */
export interface SweeperParts {
  readonly commands: Commands;
  readonly keys: LeaseKeys;
  readonly platform: BasePlatform;
  readonly visibilityTimeout: number;
  readonly consumerTimeout: number;
  /** The longest pause between two sweeps. @default 30000 */
  readonly sweepInterval?: number;
  /** Runs before each sweep. */
  prepare(): Promise<void>;
}

/** See the module. One consumer of a fleet sweeps at a time; a sweep that fails is left to the next one. */
export class Sweeper {
  readonly #parts: SweeperParts;
  readonly #period: number;
  #timer: Timer | undefined;
  #stopped = false;

  /** It begins at once. */
  constructor(parts: SweeperParts) {
    this.#parts = parts;
    const { consumerTimeout, sweepInterval = LONGEST, visibilityTimeout } = parts;
    this.#period = Math.min(sweepInterval, visibilityTimeout / 4, consumerTimeout / 4);
    this.#arm(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** One sweep, whoever else may be at it; how many messages it put back. */
  async sweep(): Promise<number> {
    const expired = this.#expired();
    // The one does not fail with the other.
    await expired.catch(() => {});
    return await this.#orphaned() + await expired;
  }

  #arm(ms: number): void {
    if (this.#stopped) return;
    this.#timer = this.#parts.platform.clock.after(
      ms,
      () => void this.#turn().then(() => this.#arm(this.#period)),
    );
  }

  async #turn(): Promise<void> {
    const { keys, platform, visibilityTimeout } = this.#parts;
    // Half a period, so that who comes a little early in the next one is not turned away.
    const lock = Math.max(1, Math.floor(this.#period / 2));
    try {
      await this.#parts.prepare();
      const key = keys.sweep(visibilityTimeout);
      const [held] = await this.#ask([["set", key, platform.ids.uuid(), "PX", lock, "NX"]]);
      if (held !== null) await this.sweep();
    } catch {
      // The consumer's claims tell of the trouble.
    }
  }

  /** What is older than the visibility timeout, whoever holds it: kombu's `restore_visible`. */
  async #expired(): Promise<number> {
    const { keys, platform: { clock }, visibilityTimeout } = this.#parts;
    const before = seconds(clock.now() - visibilityTimeout);
    let restored = 0;
    for (let at = 0; at < MOST_A_SWEEP && !this.#stopped;) {
      // The youngest first: the oldest must be put back last.
      const [page] = await this.#ask([
        ["zrevrangebyscore", keys.index, before, "-inf", "WITHSCORES", "LIMIT", at, MOST],
      ]);
      const pairs = pairsOf(page);
      const done = await this.#rescue(pairs, "");
      restored += done;
      if (pairs.length < MOST) break;
      // What was not put back stays before the next page.
      at += pairs.length - done;
    }
    return restored;
  }

  /** What consumers of ours hold that gave no word any more. */
  async #orphaned(): Promise<number> {
    const { keys } = this.#parts;
    const [members] = await this.#ask([["zrange", keys.fleet, 0, -1]]);
    const consumers = Array.isArray(members) ? members.map(String) : [];
    if (consumers.length === 0) return 0;
    const alive = await this.#ask(consumers.map((id) => ["exists", keys.beat(id)]));
    let restored = 0;
    for (const id of consumers.filter((_id, at) => Number(alive[at]) === 0)) {
      const pairs = await this.#scan(`${stemOf(id)}*`);
      for (let end = pairs.length; end > 0 && !this.#stopped; end -= MOST) {
        const part = pairs.slice(Math.max(0, end - MOST), end);
        restored += await this.#rescue(part.toReversed(), keys.beat(id));
      }
      if (pairs.length === 0) await this.#ask([["zrem", keys.fleet, id]]);
    }
    return restored;
  }

  /** Tags and instants in the order of the claims. */
  async #scan(pattern: string): Promise<(readonly [tag: string, instant: string])[]> {
    const { index } = this.#parts.keys;
    const found = new Map<string, string>();
    let cursor = "0";
    do {
      const [answer] = await this.#ask([["zscan", index, cursor, "MATCH", pattern, "COUNT", 1000]]);
      const [next, page] = Array.isArray(answer) ? answer as readonly unknown[] : [];
      for (const [tag, instant] of pairsOf(page)) found.set(tag, instant);
      cursor = String(next ?? "0");
    } while (cursor !== "0" && !this.#stopped);
    return [...found].sort(([a], [b]) => a < b ? -1 : 1);
  }

  /** Puts these to the front of their queues one after the other, in steps that are not too large; how many it did. */
  async #rescue(
    pairs: readonly (readonly [tag: string, instant: string])[],
    beat: string,
  ): Promise<number> {
    const { unacked } = this.#parts.keys;
    const sizes = pairs.length > 0 ? await this.#ask(pairs.map(([tag]) => ["hstrlen", unacked, tag])) : [];
    let restored = 0;
    for (let at = 0; at < pairs.length && !this.#stopped;) {
      const begin = at;
      let room = ROOM;
      while (at < pairs.length && room > 0) room -= Number(sizes[at++]);
      restored += await this.#restore(await this.#seen(pairs.slice(begin, at)), beat);
    }
    return restored;
  }

  async #seen(pairs: readonly (readonly [tag: string, instant: string])[]): Promise<Seen[]> {
    const [entries] = await this.#ask([["hmget", this.#parts.keys.unacked, ...pairs.map(([tag]) => tag)]]);
    const list = Array.isArray(entries) ? entries as readonly unknown[] : [];
    return pairs.map(([tag, instant], at) => {
      const entry = list[at];
      return { tag, instant, entry: typeof entry === "string" ? entry : null };
    });
  }

  async #restore(seen: readonly Seen[], beat: string): Promise<number> {
    const { keys, platform: { clock } } = this.#parts;
    const held = seen.map(({ entry }) => entry === null ? undefined : readEntry(entry));
    const bindings = await this.#bindings(held.map((one) => one?.exchange ?? ""));
    const rescues = seen.map((one, at): Rescue => {
      const found = held[at];
      const queues = found === undefined ? [] : queuesOf(found, bindings.get(found.exchange) ?? []);
      return { ...one, beat, held: found, queues };
    });
    const { script, keys: scriptKeys, args } = restoreCall(keys, rescues, clock.now());
    const answer = await runScript(this.#commands, script, scriptKeys, args, { repeatable: false });
    return Array.isArray(answer) ? answer.filter((one) => Number(one) === 1).length : 0;
  }

  async #bindings(exchanges: readonly string[]): Promise<Map<string, readonly string[]>> {
    const names = [...new Set(exchanges)].filter((name) => name !== "");
    if (names.length === 0) return new Map();
    const { prefix } = this.#parts.keys;
    const sets = await this.#commands.run(
      names.map((name) => ["smembers", prefix + bindingKey(name)]),
      { repeatable: true },
    );
    // Where the key holds something else, nobody is bound.
    return new Map(names.map((name, at) => {
      const members = sets[at];
      return [name, Array.isArray(members) ? members.map(String) : []];
    }));
  }

  /** None once it was stopped: the next command would open the link again that was closed meanwhile, and nobody would close that. */
  get #commands(): Commands {
    if (this.#stopped) throw new ConnectionError("consumer-stopped", "The consumer was stopped.");
    return this.#parts.commands;
  }

  async #ask(commands: readonly Command[]): Promise<readonly unknown[]> {
    const answers = await this.#commands.run(commands, { repeatable: true });
    for (const answer of answers) if (answer instanceof Error) throw answer;
    return answers;
  }
}

/** A flat list of members and scores, in twos. */
function pairsOf(page: unknown): (readonly [member: string, score: string])[] {
  const flat = Array.isArray(page) ? page.map(String) : [];
  return Array.from({ length: flat.length >> 1 }, (_, at) => [flat[2 * at] ?? "", flat[2 * at + 1] ?? ""]);
}
