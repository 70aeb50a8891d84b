/**
 * Deliveries of several queues as one stream: claims what the windows have room for, keeps the leases, settles.
 *
 * @module
 */
import type { BrokerFeatures, Consumer, Settlement } from "../../../src/broker.ts";
import { ConfigurationError, ConnectionError } from "../../../src/errors.ts";
import { type Deferred, deferred } from "../../../src/lib/deferred.ts";
import { demand } from "../../../src/lib/demand.ts";
import type { BasePlatform, Timer } from "../../../src/lib/port.ts";
import { AsyncQueue } from "../../../src/lib/queue.ts";
import { Batch } from "../batch.ts";
import { closed, fault, isPassingFault } from "../fault.ts";
import { Patience } from "../patience.ts";
import { checkQueue } from "../reserved.ts";
import { Bell } from "./bell.ts";
import { type Claim, type Claimed, share } from "./claim.ts";
import { type Holder, RedisDelivery } from "./delivery.ts";
import { backoff, nextPause, type Pace, reaction } from "./pace.ts";
import { type Ending, endingOf, givenBack, weightOf } from "./settle.ts";
import { type LeaseParts, LeaseStore } from "./store.ts";
import { Sweeper } from "./sweeper.ts";
import type { Wake, Waker } from "./waker.ts";

/** What a consumer is made of. Durations are ms. */
export interface ConsumerParts extends Omit<LeaseParts, "clock"> {
  readonly platform: BasePlatform;
  readonly pace: Pace;
  /** Undefined where nobody tells of changes. */
  readonly waker?: Waker;
  /** After how long an entry of another program counts as abandoned. */
  readonly visibilityTimeout: number;
  /** After how long without a word a consumer of ours does. */
  readonly consumerTimeout: number;
  /** The longest pause between two sweeps. @default 30000 */
  readonly sweepInterval?: number;
  readonly closeTimeout: number;
  /** A claim was answered. */
  worked(): void;
  /** A claim failed; the next attempt is `retryIn` away, or, for an error that no repeat will change, there is none. */
  failed(error: Error, retryIn: number | undefined): void;
  /** Runs before each sweep: declares what is remembered. */
  prepare(): Promise<void>;
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

/** One queue of a consumer. */
interface Tap {
  /** Looked at for the first time. */
  readonly ready: Deferred<void>;
  /** What changes when there is something to claim. */
  readonly keys: readonly string[];
  /** Claimed and not settled. */
  held: number;
}

/** Settlements of one script: it blocks the server while it runs. */
const SETTLEMENTS = { most: 500, heaviest: 4 * 1024 * 1024 };

/** A consumer on Redis. */
export class RedisConsumer implements Consumer, Holder {
  readonly #parts: ConsumerParts;
  readonly #bell: Bell;
  readonly #settling: Batch<Ending, "settled" | "stale">;
  readonly #taps: Map<string, Tap> = new Map();
  readonly #deliveries: AsyncQueue<RedisDelivery> = new AsyncQueue();
  /** Claimed and not settled, by tag, oldest first. */
  readonly #outstanding: Map<string, RedisDelivery> = new Map();
  readonly #running: Promise<void>;
  /** The claim under way, or the last one. */
  #claiming: Promise<void> = Promise.resolve();
  #prefetch: number;
  #store: LeaseStore | undefined;
  #sweeper: Sweeper | undefined;
  #renewal: Timer | undefined;
  /** How often in a row the news of a change led to nothing. */
  #misses = 0;
  #reaction: Timer | undefined;
  /** 1 from the news of a change to the claim that follows. */
  #woken = 0;
  #alive = 0;
  /** When a parked message is due, ms since the epoch. */
  #due = Infinity;
  /** From `stop` on: when settlements are given up that cannot be sent. */
  #giveUp = Infinity;
  #stopped: Promise<void> | undefined;
  #over = false;

  constructor(queues: readonly string[], prefetch: number, parts: ConsumerParts) {
    const { clock } = parts.platform;
    queues.forEach(checkQueue);
    this.#parts = parts;
    this.#prefetch = prefetch;
    this.#bell = new Bell(clock);
    this.#settling = new Batch({
      clock,
      ...SETTLEMENTS,
      weigh: weightOf,
      send: (endings) => this.#send(endings),
    });
    for (const queue of queues) this.#tap(queue).ready.promise.catch(() => {});
    parts.waker?.add(this.#wake);
    this.#running = this.#run();
  }

  get aliveAt(): number {
    return this.#alive;
  }

  async add(queue: string): Promise<void> {
    if (this.#stopped !== undefined) throw stopped();
    checkQueue(queue);
    const tap = this.#taps.get(queue) ?? this.#tap(queue);
    this.#bell.ring();
    await tap.ready.promise;
  }

  async remove(queue: string): Promise<void> {
    const tap = this.#taps.get(queue);
    if (tap === undefined) return;
    this.#taps.delete(queue);
    tap.ready.reject(stopped());
    tap.ready.promise.catch(() => {});
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
    const fate = this.#settling.add(ending);
    const done = (): void => this.#endWhenDone();
    void fate.then(done, done);
    return fate;
  }

  /** A queue of ours has changed, or any may have: keys come with commas between them, so that one with a comma is not told apart. */
  readonly #wake: Wake = (changed) => {
    const { clock, random } = this.#parts.platform;
    const ours = changed === undefined ||
      [...this.#taps.values()].some(({ keys }) => keys.some((key) => changed.has(key) || key.includes(",")));
    if (!ours || this.#reaction !== undefined) return;
    this.#reaction = clock.after(reaction(this.#misses, random), () => {
      this.#reaction = undefined;
      this.#woken = 1;
      this.#bell.ring();
    });
  };

  #tap(queue: string): Tap {
    const { keys } = this.#parts;
    const tap: Tap = { ready: deferred(), keys: [keys.parked(queue), ...keys.lists(queue)], held: 0 };
    this.#taps.set(queue, tap);
    return tap;
  }

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
        if (met instanceof ConfigurationError || /-credentials-refused$/.test(met.code)) {
          return this.#fail(met);
        }
        const retryIn = backoff(++failures, random);
        failed(met, retryIn);
        await this.#bell.wait(retryIn);
      }
    }
  }

  /** One claim: whether there was room for any message, how many came, and whether there may be more at once. */
  async #claim(
    turn: number,
  ): Promise<{ readonly wanted: boolean; readonly came: number; readonly more: boolean }> {
    const taps = rotated([...this.#taps], turn);
    const wants = share(new Map(taps.map(([queue, { held }]) => [queue, this.#room(held)])));
    const claim = await this.#open().claim(wants);
    this.#parts.worked();
    this.#alive = this.#parts.platform.clock.now();
    for (const [, { ready }] of taps) ready.resolve();
    this.#due = claim.due ?? Infinity;
    this.#misses = claim.claimed.length > 0 ? 0 : this.#misses + this.#woken;
    this.#woken = 0;
    const back = this.#take(claim);
    if (back.length > 0) await this.#giveBack(back);
    return { wanted: wants.length > 0, came: claim.claimed.length, more: this.#more(wants, claim) };
  }

  #room(held: number): number {
    return this.#prefetch === 0 ? Infinity : this.#prefetch - held;
  }

  /** Whether a queue gave all that was wanted of it and has room again: there may be more. */
  #more(wants: readonly { readonly queue: string; readonly most: number }[], { claimed }: Claim): boolean {
    const got = new Map<string, number>();
    for (const { queue } of claimed) got.set(queue, (got.get(queue) ?? 0) + 1);
    return wants.some(({ queue, most }) => {
      const tap = this.#taps.get(queue);
      return tap !== undefined && (got.get(queue) ?? 0) >= most && this.#room(tap.held) > 0;
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

  /** The store, from the first claim on, with what keeps its leases. */
  #open(): LeaseStore {
    if (this.#store !== undefined) return this.#store;
    const { platform, visibilityTimeout, consumerTimeout } = this.#parts;
    const { clock, ids } = platform;
    const claimant = { id: ids.uuid(), consumerTimeout };
    const store = this.#store = new LeaseStore({ ...this.#parts, clock }, claimant);
    this.#sweeper = new Sweeper(this.#parts);
    const period = Math.min(consumerTimeout / 4, visibilityTimeout / 3);
    const renew = (): void => {
      this.#renewal = clock.after(period, () => void this.#renew(store).then(() => this.#over || renew()));
    };
    renew();
    return store;
  }

  async #renew(store: LeaseStore): Promise<void> {
    // The claims themselves say that we live.
    if (this.#outstanding.size === 0) return;
    try {
      for (const tag of await store.renew([...this.#outstanding.keys()])) this.#lose(tag);
    } catch {
      // The next claim tells of it, and the next renewal may be in time still.
    }
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
    if (this.#room(tap.held) <= 0) this.#bell.ring();
    tap.held--;
  }

  /** Gives deliveries that nobody will settle back to the front of their queues, in their order. */
  async #giveBack(deliveries: readonly RedisDelivery[]): Promise<void> {
    for (const { claimed } of deliveries) this.#let(claimed);
    const endings = givenBack(deliveries.map(({ claimed }) => claimed));
    await Promise.allSettled(endings.map((ending) => this.#settling.add(ending)));
  }

  /** Sends until there is an answer: the leases last longer than most troubles, and an entry that was lost says so then. */
  async #send(endings: readonly Ending[]): Promise<readonly ("settled" | "stale")[]> {
    const { clock, random } = this.#parts.platform;
    const trail = { attempts: 0 };
    const patience = new Patience(clock, {});
    for (let failures = 1;; failures++) {
      try {
        const fates = await this.#open().settle(endings, trail);
        return fates.map((ours) => ours ? "settled" : "stale");
      } catch (error) {
        if (!isPassingFault(error)) throw error;
        // What may have arrived is not called stale: that would mean that somebody else has the message.
        if (clock.now() >= this.#giveUp) return endings.map(() => trail.attempts > 0 ? "settled" : "stale");
        await patience.pause(backoff(failures, random));
      }
    }
  }

  #fail(error: Error): void {
    for (const { ready } of this.#taps.values()) ready.reject(error);
    this.#parts.failed(error, undefined);
    this.#deliveries.fail(error);
    void this.stop();
  }

  #soon(): number {
    return this.#parts.platform.clock.now() + this.#parts.closeTimeout;
  }

  async #stop(deadline: number): Promise<void> {
    this.#giveUp = deadline;
    this.#sweeper?.stop();
    this.#reaction?.cancel();
    const unread = this.#deliveries.take(() => true);
    this.#deliveries.end();
    for (const { ready } of this.#taps.values()) {
      ready.reject(stopped());
      ready.promise.catch(() => {});
    }
    this.#bell.ring();
    const leave = async (): Promise<void> => {
      // What a claim under way brings is younger, and goes back first.
      await this.#running;
      await this.#giveBack(unread);
      await this.#settling.idle();
    };
    await this.#inTime(deadline, leave());
    if (this.#outstanding.size === 0) await this.#end(deadline);
  }

  #endWhenDone(): void {
    if (this.#giveUp < Infinity && this.#outstanding.size === 0) {
      void this.#stopped?.then(() => this.#settling.idle()).then(() => this.#end(this.#soon()));
    }
  }

  async #end(deadline: number): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#renewal?.cancel();
    await this.#inTime(deadline, this.#store?.leave(deadline));
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

function rotated<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
