/**
 * Publishing: many at once, each confirmed by the broker or given up by its deadline.
 *
 * @module
 */
import type { Call, Outgoing, Verdict } from "../../src/broker.ts";
import { CeleriacError } from "../../src/errors.ts";
import type { Timer } from "../../src/lib/port.ts";
import { Fifo } from "../../src/lib/queue.ts";
import { Batch, type Publication } from "./batch.ts";
import type { Epoch } from "./epoch.ts";
import { CLOSED_BY_US, type Link } from "./link.ts";
import type { Settings } from "./options.ts";
import { Outlet } from "./outlet.ts";
import { notSent, refused, unknown } from "./verdict.ts";

/** More channels than this are closed again when idle; Celery itself publishes to four exchanges or so. */
const MANY_CHANNELS = 64;

/** The longest expiration, ms: ten years of 365 days. RabbitMQ closes the channel over 1 ms more (406, value_too_large). */
const LONGEST_EXPIRATION = 315_360_000_000;

/** What a publisher is made of. */
export interface PublisherParts {
  readonly link: Link;
  readonly settings: Settings;
  /** Runs on each new connection, before anything is published on it. */
  readonly prepare: (epoch: Epoch) => Promise<void>;
  /** A message found no queue. */
  readonly unroutable: () => void;
}

/** The exchange's channel on the present connection, and what waits for it. */
interface Lane {
  readonly waiting: Fifo<Publication>;
  outlet: Outlet | undefined;
  /** The outlet's connection. */
  on: Epoch | undefined;
  /** The connection on which a channel is being opened. */
  opening: Epoch | undefined;
}

/** All publishing of one broker. */
export class Publisher {
  readonly #parts: PublisherParts;
  readonly #lanes: Map<string, Lane> = new Map();
  readonly #batches: Set<Batch> = new Set();
  #idle: (() => void)[] = [];
  #connecting = false;
  /** The connection that `prepare` has seen. */
  #ready: Epoch | undefined;
  /** Whether the present connection took anything; one that dies before is a failure, not a pause. */
  #worked = false;
  #timer: Timer | undefined;
  #timerAt = Infinity;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    parts.link.onLost((epoch) => this.#lose(epoch));
  }

  /** All verdicts, by the call's deadline or the default one. */
  publish(outgoings: readonly Outgoing[], call: Call): Promise<readonly Verdict[]> {
    if (outgoings.length === 0) return Promise.resolve([]);
    const { settings } = this.#parts;
    const { clock } = settings.platform;
    const now = clock.now();
    const { signal, deadline = now + settings.publishTimeout } = call;
    const onAbort = (): void => this.#giveUp(batch, "the publish was aborted");
    const batch = new Batch(outgoings, deadline, () => {
      this.#batches.delete(batch);
      signal?.removeEventListener("abort", onAbort);
      if (this.#batches.size > 0) return;
      for (const resolve of this.#idle.splice(0)) resolve();
    });
    this.#batches.add(batch);
    if (signal?.aborted === true) onAbort();
    else if (deadline <= now) this.#expire(now);
    else {
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#watch(deadline);
      for (const publication of batch.publications) this.#enqueue(publication);
      this.#pump();
    }
    return batch.verdicts;
  }

  /** Sends what waits, after the broker lifted its block. */
  resume(): void {
    this.#pump();
  }

  /** Waits until `deadline` for the verdicts that are due, then gives the rest up. */
  async close(deadline: number): Promise<void> {
    const { clock } = this.#parts.settings.platform;
    if (this.#batches.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = clock.after(deadline - clock.now(), resolve);
        this.#idle.push(() => {
          timer.cancel();
          resolve();
        });
      });
    }
    for (const batch of [...this.#batches]) this.#giveUp(batch, "the broker was closed");
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  #enqueue(publication: Publication): void {
    const { message, to, notBefore } = publication.outgoing;
    const problem = this.#problem(message.body.length, message.properties["expiration"], notBefore);
    if (problem !== undefined) publication.settle(refused(problem));
    else this.#lane(to.exchange).waiting.push(publication);
  }

  /** What the broker would close the channel for. */
  #problem(size: number, expiration: unknown, notBefore: number | undefined): string | undefined {
    const { maxMessage } = this.#parts.settings;
    if (size > maxMessage) {
      return `the body has ${size} bytes, the broker takes ${maxMessage} (option maxMessage)`;
    }
    if (expiration !== undefined && expiration !== null) {
      const text = String(expiration);
      if (!/^\d{1,20}$/.test(text)) return "the property expiration must be whole milliseconds as text";
      if (Number(text) > LONGEST_EXPIRATION) {
        return `the property expiration is too far: ${text} ms; RabbitMQ takes ${LONGEST_EXPIRATION}, ten years`;
      }
    }
    return notBefore === undefined ? undefined : "RabbitMQ has no delay of its own (notBefore)";
  }

  #lane(exchange: string): Lane {
    let lane = this.#lanes.get(exchange);
    if (lane === undefined) {
      if (this.#lanes.size >= MANY_CHANNELS) this.#retireIdle();
      lane = { waiting: new Fifo(), outlet: undefined, on: undefined, opening: undefined };
      this.#lanes.set(exchange, lane);
    }
    return lane;
  }

  #retireIdle(): void {
    for (const [exchange, { outlet, waiting, opening }] of this.#lanes) {
      if (waiting.size > 0 || opening !== undefined || (outlet?.size ?? 0) > 0) continue;
      outlet?.retire();
      this.#lanes.delete(exchange);
    }
  }

  /** Writes what may be written, and gets what is missing for it: the connection, a channel. */
  #pump(): void {
    const { link, settings } = this.#parts;
    const { epoch } = link;
    if (epoch === undefined || epoch !== this.#ready) return this.#connect();
    // A blocked broker reads nothing: what waits here is certainly not sent, and can be said to be so.
    if (epoch.blocked !== undefined) return;
    let room = settings.maxInFlight;
    for (const { outlet } of this.#lanes.values()) room -= outlet?.size ?? 0;
    for (const lane of this.#lanes.values()) {
      if (lane.waiting.size === 0) continue;
      if (lane.outlet === undefined || lane.outlet.closed) {
        if (lane.opening === undefined) void this.#open(lane, epoch);
        continue;
      }
      while (room > 0) {
        const publication = lane.waiting.shift();
        if (publication === undefined) break;
        if (publication.settled) continue;
        lane.outlet.publish(publication);
        room--;
      }
    }
  }

  #connect(): void {
    if (this.#connecting || !this.#waits()) return;
    this.#connecting = true;
    void this.#prepared().then(
      (epoch) => {
        this.#connecting = false;
        this.#ready = epoch;
        this.#worked = false;
        this.#pump();
      },
      (error: unknown) => {
        this.#connecting = false;
        // `close` ended that attempt; what waits now came after it.
        if (error instanceof CeleriacError && error.code === CLOSED_BY_US) this.#connect();
        else this.#refuseWaiting(error);
      },
    );
  }

  async #prepared(): Promise<Epoch> {
    const epoch = await this.#parts.link.open();
    await this.#parts.prepare(epoch);
    return epoch;
  }

  async #open(lane: Lane, epoch: Epoch): Promise<void> {
    lane.opening = epoch;
    try {
      const outlet = await Outlet.open(epoch, {
        freed: () => this.#freed(),
        closed: (again) => {
          lane.outlet = undefined;
          lane.waiting.putBack(again);
          this.#pump();
        },
        unroutable: this.#parts.unroutable,
      });
      // Lost, or given up for another one meanwhile.
      if (lane.opening !== epoch) return;
      lane.outlet = outlet;
      lane.on = epoch;
      lane.opening = undefined;
      this.#worked = true;
      this.#pump();
    } catch (error) {
      // A lost connection is dealt with there.
      if (lane.opening !== epoch) return;
      lane.opening = undefined;
      this.#refuse(lane, error);
    }
  }

  #freed(): void {
    this.#worked = true;
    for (const { waiting } of this.#lanes.values()) if (waiting.size > 0) return this.#pump();
  }

  #lose(epoch: Epoch): void {
    const error = epoch.lost;
    if (this.#ready === epoch) this.#ready = undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.opening === epoch) lane.opening = undefined;
      if (lane.on !== epoch) continue;
      const again = lane.outlet?.lose(error?.message ?? "the connection was closed") ?? [];
      lane.outlet = undefined;
      lane.on = undefined;
      lane.waiting.putBack(again);
    }
    if (this.#connecting) return;
    // Without an error it was us who closed it.
    if (this.#worked || error === undefined) this.#connect();
    else this.#refuseWaiting(error);
  }

  #waits(): boolean {
    let count = 0;
    for (const { waiting } of this.#lanes.values()) {
      // Nobody waits any more for what was given up.
      waiting.take(({ settled }) => settled);
      count += waiting.size;
    }
    return count > 0;
  }

  #refuseWaiting(error: unknown): void {
    for (const lane of this.#lanes.values()) this.#refuse(lane, error);
  }

  #refuse(lane: Lane, error: unknown): void {
    const verdict = notSent(error instanceof Error ? error.message : String(error));
    for (const publication of lane.waiting.take(() => true)) publication.settle(verdict);
  }

  /** Ends a batch now: what was never written is known not to be stored. */
  #giveUp(batch: Batch, reason: string): void {
    const blocked = this.#parts.link.epoch?.blocked;
    const waited = notSent(
      blocked === undefined ? reason : `${reason}; the broker takes no messages: ${blocked}`,
    );
    const sent = unknown(`${reason} before the broker confirmed it`);
    for (const publication of batch.publications) {
      publication.settle(publication.flushes === undefined ? waited : sent);
    }
  }

  /** One timer for all deadlines: it is set for the earliest and not touched when others settle. */
  #watch(deadline: number): void {
    if (deadline >= this.#timerAt) return;
    const { clock } = this.#parts.settings.platform;
    this.#timer?.cancel();
    this.#timerAt = deadline;
    // While something waits, the socket or the connecting keeps the process alive.
    this.#timer = clock.after(deadline - clock.now(), () => {
      this.#timerAt = Infinity;
      this.#expire(clock.now());
      let next = Infinity;
      for (const batch of this.#batches) next = Math.min(next, batch.deadline);
      if (next < Infinity) this.#watch(next);
    }, { keepAlive: false });
  }

  #expire(now: number): void {
    for (const batch of [...this.#batches]) {
      if (batch.deadline <= now) this.#giveUp(batch, "the deadline came");
    }
  }
}
