/**
 * Deliveries of several queues as one stream: claims what the windows have room for, keeps the leases, settles.
 *
 * @module
 */
import type { BrokerFeatures, Consumer, Settlement } from "../../../src/broker.ts";
import { type CeleriacError, ConfigurationError, ConnectionError } from "../../../src/errors.ts";
import { deferred } from "../../../src/lib/deferred.ts";
import { demand } from "../../../src/lib/demand.ts";
import { AsyncQueue } from "../../../src/lib/queue.ts";
import { closed, fault, forbidden, isForbidden } from "../fault.ts";
import { Patience } from "../patience.ts";
import { checkQueue } from "../reserved.ts";
import { Bell } from "./bell.ts";
import type { Claim, Claimed, Want } from "./claim.ts";
import { type Holder, RedisDelivery } from "./delivery.ts";
import { Keeper, type KeeperParts } from "./keeper.ts";
import { News } from "./news.ts";
import { backoff, nextPause, type Pace } from "./pace.ts";
import { endingOf } from "./settle.ts";
import { Settler } from "./settler.ts";
import { looked, roomOf, type Tap, Taps, wantsOf } from "./taps.ts";
import type { Wake, Waker } from "./waker.ts";

/** What a consumer is made of. Durations are ms. */
export interface ConsumerParts extends KeeperParts {
  readonly pace: Pace;
  /** Undefined where nobody tells of changes. */
  readonly waker?: Waker;
  readonly closeTimeout: number;
  /** A claim was answered. */
  worked(): void;
  /** A claim failed; the next attempt is `retryIn` away, or, for an error that no repeat will change, there is none. */
  failed(error: Error, retryIn: number | undefined): void;
  /** The consumer stopped, and its last delivery is settled. */
  ended(consumer: RedisConsumer): void;
}

/** What a broker with such consumers can do. The longest park is as long as a revoke is remembered. */
export const LEASED: Pick<
  BrokerFeatures,
  "delivery" | "requeue" | "park" | "maxPark" | "loss" | "attempts"
> = {
  delivery: "poll",
  requeue: "front",
  park: "lease",
  maxPark: 28 * 86_400_000,
  loss: "lease",
  attempts: false,
};

/** A consumer on Redis. */
export class RedisConsumer implements Consumer, Holder {
  readonly #parts: ConsumerParts;
  readonly #bell: Bell;
  readonly #news: News;
  readonly #keeper: Keeper;
  readonly #settler: Settler;
  readonly #taps: Taps;
  readonly #deliveries: AsyncQueue<RedisDelivery> = new AsyncQueue();
  /** Claimed and not settled, by tag, oldest first. */
  readonly #outstanding: Map<string, RedisDelivery> = new Map();
  readonly #running: Promise<void>;
  /** The claim under way, or the last one. */
  #claiming: Promise<void> = Promise.resolve();
  #prefetch: number;
  #looked = 0;
  /** When a parked message is due, ms since the epoch. */
  #due = Infinity;
  #stopped: Promise<void> | undefined;
  #over = false;

  constructor(queues: readonly string[], prefetch: number, parts: ConsumerParts) {
    const { keys, platform, waker } = parts;
    queues.forEach(checkQueue);
    this.#parts = parts;
    this.#prefetch = prefetch;
    this.#bell = new Bell(platform.clock);
    this.#news = new News(platform, () => this.#bell.ring());
    this.#keeper = new Keeper(parts, {
      tags: () => [...this.#outstanding.keys()],
      lose: (tag) => this.#lose(tag),
    });
    this.#settler = new Settler(platform, () => this.#keeper.store);
    this.#taps = new Taps(keys);
    for (const queue of queues) this.#taps.open(queue, true);
    waker?.add(this.#wake);
    this.#running = this.#run();
  }

  get aliveAt(): number {
    return Math.min(this.#looked, ...this.#taps.all.map(({ alive, refused }) => refused ? alive : Infinity));
  }

  async add(queue: string): Promise<void> {
    if (this.#stopped !== undefined) throw stopped();
    checkQueue(queue);
    const tap = this.#taps.get(queue) ?? this.#taps.open(queue, false);
    // One that is left alone is asked for at once.
    tap.refused = Math.min(tap.refused, 1);
    this.#bell.ring();
    await tap.ready.promise;
  }

  async remove(queue: string): Promise<void> {
    this.#taps.close(queue, stopped());
    const unread = this.#deliveries.take((delivery) => delivery.queue === queue);
    // What a claim under way brings is younger, and goes back first.
    await this.#claiming;
    await this.#giveBack(unread);
  }

  setPrefetch(count: number): Promise<void> {
    this.#prefetch = count;
    this.#bell.ring();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop(this.#soon());
  }

  /** Gives everything back by `deadline`, what was yielded too, and lets go. */
  async close(deadline: number): Promise<void> {
    await this.#inTime(deadline, this.#stopped ??= this.#stop(deadline));
    const held = [...this.#outstanding.values()];
    this.#outstanding.clear();
    for (const delivery of held) delivery.lose();
    await this.#inTime(deadline, this.#giveBack(held));
    await this.#end(deadline);
  }

  [Symbol.asyncIterator](): AsyncIterator<RedisDelivery> {
    return this.#deliveries[Symbol.asyncIterator]();
  }

  settle(delivery: RedisDelivery, how: Settlement): Promise<"settled" | "stale"> {
    const { claimed } = delivery;
    const now = this.#parts.platform.clock.now();
    const until = how.as === "park" ? how.until : how.as === "requeue" ? how.notBefore : undefined;
    demand(until === undefined || Number.isFinite(until), "The instant", "a number of ms since the epoch");
    if (until !== undefined && until - now > LEASED.maxPark) {
      throw new ConfigurationError(
        "park-too-long",
        "A message cannot be parked for so long (features.maxPark).",
      );
    }
    const ending = { claimed, how: endingOf(how, now) };
    this.#let(claimed);
    if (ending.how.as === "back") this.#bell.ring();
    if (ending.how.as === "park" && ending.how.until < this.#due) {
      this.#due = ending.how.until;
      this.#bell.ring();
    }
    const fate = this.#settler.settle(ending);
    const done = (): void => this.#endWhenDone();
    void fate.then(done, done);
    return fate;
  }

  /** A queue of ours has changed, or any may have: keys come with commas between them, so that one with a comma is not told apart. */
  readonly #wake: Wake = (changed) => {
    const ours = changed === undefined ||
      this.#taps.all.some(({ keys }) => keys.some((key) => changed.has(key) || key.includes(",")));
    if (ours) this.#news.heard();
  };

  /** Claims, and rests as the pace says, until it is stopped or the server refuses for good. */
  async #run(): Promise<void> {
    const { failed, pace, platform: { clock, random }, subject, waker } = this.#parts;
    let rest = 0;
    let failures = 0;
    // The constructor neither draws nor sends.
    await Promise.resolve();
    for (let turn = 0; this.#stopped === undefined; turn++) {
      try {
        const brought = deferred<void>();
        this.#claiming = brought.promise;
        const { wanted, came, more } = await this.#claim(turn).finally(brought.resolve);
        failures = 0;
        if (more) continue;
        rest = wanted ? nextPause(rest, came, pace, waker?.armed === true) : 0;
        const longest = wanted ? rest : pace.full;
        await this.#bell.wait(Math.max(0, Math.min(longest, this.#due - clock.now())));
      } catch (error) {
        const met = fault(error, subject);
        if (this.#isFinal(met)) return this.#fail(met);
        const retryIn = backoff(++failures, random);
        failed(met, retryIn);
        await this.#bell.wait(retryIn);
      }
    }
  }

  /** Whether no queue was ever looked at. */
  get #idle(): boolean {
    return this.#taps.all.every(({ alive }) => alive === 0);
  }

  /** Whether no repeat will change it. */
  #isFinal(met: CeleriacError): boolean {
    if (met instanceof ConfigurationError) return true;
    // Rights that were there once may be given again.
    return /-credentials-refused$/.test(met.code) && (this.#idle || !isForbidden(met));
  }

  /** One claim: whether there was room for any message, how many came, and whether there may be more at once. */
  async #claim(
    turn: number,
  ): Promise<{ readonly wanted: boolean; readonly came: number; readonly more: boolean }> {
    const asked = this.#taps.asked(turn, this.#parts.platform.clock.now());
    const wants = wantsOf(asked, this.#prefetch);
    const claims = await this.#look(wants, asked).then(
      (claim) => [claim],
      (error) => this.#lookAtEach(wants, error),
    );
    const claimed = claims.flatMap((one) => one.claimed);
    this.#due = Math.min(...claims.map(({ due = Infinity }) => due));
    this.#news.looked(claimed.length);
    return { wanted: wants.length > 0, came: claimed.length, more: this.#more(wants, claimed) };
  }

  /** Claims, and hands on what came; with its answer these queues were looked at. */
  async #look(wants: readonly Want[], taps: readonly Tap[]): Promise<Claim> {
    const claim = await this.#keeper.store.claim(wants);
    this.#parts.worked();
    this.#looked = this.#parts.platform.clock.now();
    looked(taps, this.#looked);
    const back = this.#take(claim);
    if (back.length > 0) await this.#giveBack(back);
    return claim;
  }

  /** The claim of all was forbidden, and Redis does not say for which: what it refuses alone is left alone for a while. */
  async #lookAtEach(wants: readonly Want[], error: unknown): Promise<readonly Claim[]> {
    const { failed, platform: { clock }, subject } = this.#parts;
    if (!isForbidden(error)) throw error;
    // Where that is refused, it is not for a queue.
    const claims = [await this.#look([], [])];
    let last: ConfigurationError | undefined;
    for (const want of wants) {
      const tap = this.#taps.get(want.queue);
      if (tap === undefined) continue;
      try {
        claims.push(await this.#look([want], [tap]));
      } catch (met) {
        if (!isForbidden(met)) throw met;
        last = forbidden(want.queue, subject, met);
        const until = this.#taps.refuse(tap, last, clock.now());
        if (until !== undefined) failed(last, until - clock.now());
      }
    }
    if (last !== undefined && this.#taps.all.length > 0 && this.#idle) throw last;
    return claims;
  }

  /** Whether a queue gave all that was wanted of it and has room again: there may be more. */
  #more(wants: readonly Want[], claimed: readonly Claimed[]): boolean {
    const got = new Map<string, number>();
    for (const { queue } of claimed) got.set(queue, (got.get(queue) ?? 0) + 1);
    return wants.some(({ queue, most }) => {
      const tap = this.#taps.get(queue);
      return tap !== undefined && (got.get(queue) ?? 0) >= most && roomOf(tap, this.#prefetch) > 0;
    });
  }

  /** Hands on what came; the rest is not wanted any more. */
  #take({ claimed }: Claim): RedisDelivery[] {
    const back: RedisDelivery[] = [];
    for (const one of claimed) {
      if (this.#outstanding.has(one.tag)) continue;
      const delivery = new RedisDelivery(one, this);
      const tap = this.#taps.get(one.queue);
      this.#outstanding.set(one.tag, delivery);
      if (tap !== undefined) tap.held++;
      if (tap === undefined || this.#stopped !== undefined) back.push(delivery);
      else this.#deliveries.push(delivery);
    }
    return back;
  }

  #lose(tag: string): void {
    const delivery = this.#outstanding.get(tag);
    if (delivery === undefined) return;
    this.#let(delivery.claimed);
    this.#deliveries.take((one) => one === delivery);
    delivery.lose();
    this.#endWhenDone();
  }

  /** It is ours no more: its window has room. */
  #let({ tag, queue }: Claimed): void {
    if (!this.#outstanding.delete(tag)) return;
    const tap = this.#taps.get(queue);
    if (tap === undefined) return;
    // Where there was room already, the queue had nothing for it.
    if (roomOf(tap, this.#prefetch) <= 0) this.#bell.ring();
    tap.held--;
  }

  /** Gives deliveries that nobody will settle back to the front of their queues, in their order. */
  async #giveBack(deliveries: readonly RedisDelivery[]): Promise<void> {
    const claimed = deliveries.map((one) => one.claimed);
    for (const one of claimed) this.#let(one);
    await this.#settler.giveBack(claimed);
  }

  #fail(error: Error): void {
    this.#leaveAll(error);
    this.#parts.failed(error, undefined);
    this.#deliveries.fail(error);
    void this.stop();
  }

  /** Whoever waits for a queue is told why. */
  #leaveAll(why: Error): void {
    for (const { ready } of this.#taps.all) ready.reject(why);
  }

  #soon(): number {
    return this.#parts.platform.clock.now() + this.#parts.closeTimeout;
  }

  async #stop(deadline: number): Promise<void> {
    this.#settler.giveUp = deadline;
    this.#keeper.rest();
    this.#news.stop();
    const unread = this.#deliveries.take(() => true);
    this.#deliveries.end();
    this.#leaveAll(stopped());
    this.#bell.ring();
    const leave = async (): Promise<void> => {
      // What a claim under way brings is younger, and goes back first.
      await this.#running;
      await this.#giveBack(unread);
      await this.#settler.idle();
    };
    await this.#inTime(deadline, leave());
    if (this.#outstanding.size === 0) await this.#end(deadline);
  }

  #endWhenDone(): void {
    if (this.#settler.giveUp < Infinity && this.#outstanding.size === 0) {
      void this.#stopped?.then(() => this.#settler.idle()).then(() => this.#end(this.#soon()));
    }
  }

  async #end(deadline: number): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    await this.#inTime(deadline, this.#keeper.leave(deadline));
    await this.#inTime(deadline, this.#parts.waker?.remove(this.#wake));
    this.#parts.ended(this);
  }

  /** Waits no longer than until `deadline`, for what may fail: the leases end by themselves then. */
  async #inTime(deadline: number, work: Promise<void> | undefined): Promise<void> {
    const { platform: { clock }, subject } = this.#parts;
    const patience = new Patience(clock, { deadline, late: () => closed(subject) });
    try {
      await patience.for(work ?? Promise.resolve());
    } catch {
      // It was to be done by then.
    } finally {
      patience.end();
    }
  }
}

function stopped(): ConnectionError {
  return new ConnectionError("consumer-stopped", "The consumer was stopped.");
}
