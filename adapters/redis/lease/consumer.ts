/**
 * Deliveries of several queues as one stream: claims what the windows have room for, keeps the leases, settles.
 *
 * @module
 */
import type { Consumer, Settlement } from "../../../src/broker.ts";
import { ConfigurationError, ConnectionError } from "../../../src/errors.ts";
import { deferred } from "../../../src/lib/deferred.ts";
import { demand } from "../../../src/lib/demand.ts";
import { AsyncQueue } from "../../../src/lib/queue.ts";
import { closed, fault, isClosed } from "../fault.ts";
import { Patience } from "../patience.ts";
import { checkQueue } from "../reserved.ts";
import { Bell } from "./bell.ts";
import type { Claim } from "./claim.ts";
import { type Holder, RedisDelivery } from "./delivery.ts";
import { LEASED } from "./features.ts";
import { Held } from "./held.ts";
import { Keeper, type KeeperParts } from "./keeper.ts";
import { Look } from "./look.ts";
import { News } from "./news.ts";
import { backoff, nextPause, type Pace } from "./pace.ts";
import { endingOf } from "./settle.ts";
import { Settler } from "./settler.ts";
import { roomOf, Taps } from "./taps.ts";
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
  /** The consumer stopped, and its last delivery is settled: takes away what goes with it. */
  leave?(): Promise<void>;
  /** The same, after that. */
  ended(consumer: RedisConsumer): void;
}

/** A consumer on Redis. */
export class RedisConsumer implements Consumer, Holder {
  readonly #parts: ConsumerParts;
  readonly #bell: Bell;
  readonly #news: News;
  readonly #keeper: Keeper;
  readonly #settler: Settler;
  readonly #taps: Taps;
  readonly #deliveries: AsyncQueue<RedisDelivery> = new AsyncQueue();
  readonly #held: Held = new Held();
  readonly #running: Promise<void>;
  /** The claim under way, or the last one. */
  #claiming: Promise<void> = Promise.resolve();
  readonly #look: Look;
  #prefetch: number;
  #stopped: Promise<void> | undefined;
  #ending: Promise<void> | undefined;

  constructor(queues: readonly string[], prefetch: number, parts: ConsumerParts) {
    const { keys, platform, waker } = parts;
    queues.forEach(checkQueue);
    this.#parts = parts;
    this.#prefetch = prefetch;
    this.#bell = new Bell(platform.clock);
    this.#news = new News(platform, () => this.#bell.ring());
    this.#keeper = new Keeper(parts, {
      tags: () => this.#held.tags,
      lose: (tag) => this.#lose(tag),
    });
    this.#settler = new Settler(platform, () => this.#keeper.store);
    this.#taps = new Taps(keys);
    for (const queue of queues) this.#taps.open(queue, true);
    this.#look = new Look({
      clock: platform.clock,
      subject: parts.subject,
      taps: this.#taps,
      claim: (wants) => this.#keeper.store.claim(wants),
      came: (claim) => this.#came(claim),
      refused: parts.failed,
    });
    waker?.add(this.#wake);
    this.#running = this.#run();
  }

  get aliveAt(): number {
    return Math.min(this.#look.at, ...this.#taps.all.map(({ alive, refused }) => refused ? alive : Infinity));
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

  async stop(): Promise<void> {
    await (this.#stopped ??= this.#stop(this.#soon()));
    if (this.#held.size > 0) return;
    // Asked again, after the last delivery was settled.
    const deadline = this.#soon();
    await this.#inTime(deadline, this.#settler.idle());
    await this.#end(deadline);
  }

  /** Gives everything back by `deadline`, what was yielded too, and lets go. */
  async close(deadline: number): Promise<void> {
    await this.#inTime(deadline, this.#stopped ??= this.#stop(deadline));
    const held = this.#held.letAll();
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
    this.#let(claimed.tag);
    if (ending.how.as === "back") this.#bell.ring();
    if (ending.how.as === "park" && this.#look.parked(ending.how.until)) this.#bell.ring();
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
        const { came, more, wanted } = await this.#look.take(turn, this.#prefetch).finally(brought.resolve);
        this.#news.looked(came);
        failures = 0;
        if (more) continue;
        rest = wanted ? nextPause(rest, came, pace, waker?.armed === true) : 0;
        const longest = wanted ? rest : pace.full;
        await this.#bell.wait(Math.max(0, Math.min(longest, this.#look.due - clock.now())));
      } catch (error) {
        const met = fault(error, subject);
        if (isClosed(met) && this.#stopped !== undefined) return;
        if (this.#look.isFinal(met)) return this.#fail(met);
        const retryIn = backoff(++failures, random);
        failed(met, retryIn);
        await this.#bell.wait(retryIn);
      }
    }
  }

  async #came(claim: Claim): Promise<void> {
    this.#parts.worked();
    const back = this.#take(claim);
    if (back.length > 0) await this.#giveBack(back);
  }

  /** Hands on what came; the rest is not wanted any more. */
  #take({ claimed }: Claim): RedisDelivery[] {
    const back: RedisDelivery[] = [];
    for (const one of claimed) {
      if (this.#held.has(one.tag)) continue;
      const delivery = new RedisDelivery(one, this);
      const tap = this.#taps.get(one.queue);
      this.#held.keep(delivery, tap);
      if (tap === undefined || this.#stopped !== undefined) back.push(delivery);
      else this.#deliveries.push(delivery);
    }
    return back;
  }

  #lose(tag: string): void {
    const delivery = this.#let(tag);
    if (delivery === undefined) return;
    this.#deliveries.take((one) => one === delivery);
    delivery.lose();
    this.#endWhenDone();
  }

  /** It is ours no more: its window has room. */
  #let(tag: string): RedisDelivery | undefined {
    const place = this.#held.let(tag);
    // Where there was room already, the queue had nothing for it.
    if (place?.tap !== undefined && roomOf(place.tap, this.#prefetch) <= 1) this.#bell.ring();
    return place?.delivery;
  }

  /** Gives deliveries that nobody will settle back to the front of their queues, in their order. */
  async #giveBack(deliveries: readonly RedisDelivery[]): Promise<void> {
    const claimed = deliveries.map((one) => one.claimed);
    for (const { tag } of claimed) this.#let(tag);
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
    if (this.#held.size === 0) await this.#end(deadline);
  }

  #endWhenDone(): void {
    if (this.#settler.giveUp < Infinity && this.#held.size === 0) {
      void this.#stopped?.then(() => this.#settler.idle()).then(() => this.#end(this.#soon()));
    }
  }

  #end(deadline: number): Promise<void> {
    return this.#ending ??= this.#leave(deadline);
  }

  async #leave(deadline: number): Promise<void> {
    await this.#inTime(deadline, this.#parts.leave?.());
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
