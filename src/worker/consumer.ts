/**
 * Takes deliveries, opens them, and does with each what the strategy says: run, hold or park, refuse, discard, reject or drop.
 *
 * @module
 */
import type { Consumer, Delivery } from "../broker.ts";
import type { Pool, Slot } from "../pool.ts";
import { isCompressed } from "../protocol/content.ts";
import { peekTask, readTask } from "../protocol/task.ts";
import { ask, isAskedFor } from "./admission.ts";
import { discard } from "./discard.ts";
import { Ending } from "./ending.ts";
import type { Env } from "./env.ts";
import { Holds } from "./hold.ts";
import { exceptionRepr, heeds } from "./lines.ts";
import { failed } from "./outcome.ts";
import { open, Openings } from "./openings.ts";
import { perform } from "./perform.ts";
import { refuseUnread, rejectUnregistered } from "./refuse.ts";
import { Request } from "./request.ts";
import { Slots } from "./slots.ts";
import { tell } from "./tell.ts";
import { decide, expired } from "./strategy.ts";

/** So many tasks may wait for the broker to take their retries: they hold no slot, but memory. */
const INSISTING = 1000;

/** The receiving side of one worker, over one consumer of the broker. */
export class TaskConsumer {
  readonly #env: Env;
  readonly #slots: Slots;
  readonly #consumer: Consumer;
  readonly #holds: Holds;
  /** Received, and first in line for a slot. */
  readonly #ready = new Set<Request>();
  /** Received, while the backend is asked whether they are revoked. */
  readonly #asking = new Set<Request>();
  /** Tells of the lost links of messages that wait. */
  readonly #losses = new Map<Request, Disposable>();
  /** Messages whose content is being opened. */
  readonly #openings: Openings;
  /** Messages that the broker is about to keep for later. */
  readonly #parking = new Set<Promise<void>>();
  /** How many tasks may have run without being stored and settled: a slow backend must hold up the next ones. */
  readonly #backlog: number;
  #stopping = false;

  /** `prefetch` is what the consumer was made with, `longestPark` in ms; 0 is none. */
  constructor(env: Env, pool: Pool, consumer: Consumer, prefetch: number, longestPark: number) {
    this.#env = env;
    this.#consumer = consumer;
    this.#holds = new Holds(env, consumer, prefetch, longestPark);
    this.#slots = new Slots(env, pool, (slot) => this.#given(slot));
    this.#openings = new Openings(env, (delivery, text) => this.#read(delivery, text), () => this.#stopping);
    env.state.onRoom = this.#finished;
    this.#backlog = Math.max(prefetch, 4 * pool.size);
  }

  /** Receives until `stop()`, and calls `ready` once messages of all `queues` would come; throws the broker's fatal error. */
  async run(queues: readonly string[], ready: () => void): Promise<void> {
    await Promise.all([this.#receiveAll(), this.#consuming(queues, ready)]);
  }

  async #receiveAll(): Promise<void> {
    for await (const delivery of this.#consumer) this.#receive(delivery);
  }

  /** Adding a queue that is there already is the way to wait for its first consume-ok. */
  async #consuming(queues: readonly string[], ready: () => void): Promise<void> {
    try {
      await Promise.all(queues.map((queue) => this.#consumer.add(queue)));
    } catch (error) {
      if (this.#stopping) return;
      throw error;
    }
    if (!this.#stopping) ready();
  }

  /**
   * Takes no more; what has not begun goes back to its queue, what runs is awaited, and every store and settlement with it. Nothing is held
   * afterwards. `cold` is aborted where what runs is to be cut short.
   */
  async stop(cold: AbortSignal): Promise<void> {
    this.#stopping = true;
    this.#slots.stop();
    using ending = new Ending(this.#env, cold);
    // First: what goes back before the consumer is gone would come again.
    await ending.flush(this.#quit());
    await ending.flush(this.#openings.ended);
    for (const request of this.#waiting) {
      this.#leave(request);
      this.#env.state.drop(request);
      void request.release({ as: "requeue" });
    }
    await ending.work();
    if (this.#parking.size > 0 || !this.#env.isQuiet) {
      await ending.settled(Promise.all(this.#parking).then(() => this.#env.quiet()));
    }
    // Flushes what was settled since.
    await ending.flush(this.#quit());
  }

  /** Discards what waits here and is revoked, as far as this worker heard of it; that is stored after `before`. */
  discardRevoked(before: Promise<unknown>): void {
    for (const request of this.#waiting) {
      const revoked = this.#env.revokes.find(request.message);
      if (revoked === undefined) continue;
      this.#leave(request);
      request.behind(before);
      discard(request, revoked);
    }
  }

  /** What has come and not begun. */
  get #waiting(): readonly Request[] {
    // Those in line for their turn first: it may come when another one leaves.
    return [...this.#env.suspects.waiting, ...this.#ready, ...this.#asking, ...this.#holds.held];
  }

  async #quit(): Promise<void> {
    try {
      await this.#consumer.stop();
    } catch (error) {
      const reason = exceptionRepr(failed(error).exception);
      this.#env.logger.log("warning", `Couldn't stop consuming: ${reason}`, { error });
    }
  }

  #receive(delivery: Delivery): void {
    if (this.#stopping) return this.#giveBack(delivery);
    try {
      const name = peekTask(delivery.message);
      if (name !== undefined && !this.#env.app.tasks.has(name)) {
        return rejectUnregistered(this.#env, delivery, name, delivery.message.headers["id"]);
      }
      if (isCompressed(delivery.message)) return this.#openings.add(delivery);
      this.#read(delivery, open(this.#env, delivery) as string);
    } catch (error) {
      refuseUnread(this.#env, delivery, error);
    }
  }

  #read(delivery: Delivery, text: string): void {
    const message = readTask(delivery.message, text, {
      exact: this.#env.app.exact,
      limits: this.#env.settings.contentLimits,
    });
    const decision = decide(message, this.#env.app.tasks.get(message.task), this.#env.now());
    if (decision.do === "reject" || decision.do === "drop") {
      return rejectUnregistered(this.#env, delivery, message.task, message.id);
    }
    const refusal = decision.do === "refuse" ? decision.reason : undefined;
    const request = new Request(this.#env, delivery, message, decision.task, refusal);
    this.#received(request);
    const revoked = this.#env.revokes.find(message);
    if (decision.do === "discard") discard(request);
    else if (revoked !== undefined) discard(request, revoked);
    else if (decision.do === "hold") this.#putOff(request, decision.until);
    else this.#reserve(request);
  }

  #received(request: Request): void {
    const { logger } = this.#env;
    if (heeds(logger, "info")) logger.log("info", `Task ${request.label} received`, request.about);
    void tell(request, "taskReceived");
  }

  /** Its time has not come: it is held here until then, or kept by the broker. */
  #putOff(request: Request, until: number, again = false): void {
    const plan = this.#holds.plan(request.delivery.queue, until, again);
    if (plan.as === "hold") return this.#hold(request, until, "again" in plan ? plan.again : undefined);
    const parking = this.#park(request, plan.until, until).finally(() => this.#parking.delete(parking));
    this.#parking.add(parking);
  }

  async #park(request: Request, parkedUntil: number, until: number): Promise<void> {
    if (await this.#holds.parking(request, request.park(parkedUntil))) return;
    this.#holds.onParkFailed();
    if (this.#stopping) await request.release({ as: "requeue" });
    else this.#putOff(request, until, true);
  }

  /** `again`: when to look whether the broker keeps it now. */
  #hold(request: Request, until: number, again: number | undefined): void {
    this.#env.state.reserve(request);
    this.#holds.hold(
      request,
      again ?? until,
      () => again === undefined ? this.#admit(request) : this.#putOffAgain(request, until),
    );
    // Not before: its link may be gone already, and then it waits for nothing.
    if (this.#holds.has(request) || this.#isAdmitted(request)) this.#watch(request);
  }

  #putOffAgain(request: Request, until: number): void {
    this.#leave(request);
    this.#env.state.drop(request);
    this.#putOff(request, until, true);
  }

  #reserve(request: Request): void {
    this.#env.state.reserve(request);
    this.#admit(request);
    if (this.#isAdmitted(request)) this.#watch(request);
  }

  #isAdmitted(request: Request): boolean {
    return this.#ready.has(request) || this.#asking.has(request);
  }

  /** Puts it in line; where something is to be found out about it, after that. */
  #admit(request: Request): void {
    if (isAskedFor(request)) void this.#ask(request);
    else this.#lineUp(request);
  }

  async #ask(request: Request): Promise<void> {
    this.#asking.add(request);
    const admission = await ask(request);
    // Its link was lost meanwhile, the worker stops, or it has heard of the revoke itself.
    if (!this.#asking.delete(request)) return;
    if (admission.do === "line") this.#lineUp(request);
    else if (admission.do === "wait") this.#env.suspects.wait(request, () => this.#lineUp(request));
    else {
      this.#leave(request);
      discard(request, admission.revoked);
    }
  }

  #lineUp(request: Request): void {
    this.#ready.add(request);
    this.#dispatch();
  }

  /** Gives slots to those who wait, first come, first served. */
  #dispatch(): void {
    while (this.#ready.size > 0 && !this.#stopping && this.#hasRoom) {
      const slot = this.#slots.next();
      if (slot === undefined) return;
      this.#begin(slot);
    }
  }

  get #hasRoom(): boolean {
    const { state } = this.#env;
    return state.concluding < this.#backlog && state.insisting < INSISTING;
  }

  #given(slot: Slot): void {
    this.#begin(slot);
    this.#dispatch();
  }

  #begin(slot: Slot): void {
    const [request] = this.#ready;
    if (request === undefined || this.#stopping) return slot[Symbol.dispose]();
    this.#take(request);
    if (expired(request.message, this.#env.now())) {
      slot[Symbol.dispose]();
      this.#leave(request);
      return discard(request);
    }
    this.#env.state.activate(request);
    void perform(request, slot).then(this.#finished);
  }

  readonly #finished = (): void => {
    if (this.#ready.size > 0) this.#dispatch();
  };

  #giveBack(delivery: Delivery): void {
    void this.#env.settle(delivery, { as: "requeue" });
  }

  /** A message that waits while its link is lost comes again: to run it here too would be to run it twice. */
  #watch(request: Request): void {
    let gone = false;
    const watch = request.delivery.onLost(() => {
      gone = true;
      this.#leave(request);
      this.#env.state.drop(request);
      request.forget();
    });
    if (gone) watch[Symbol.dispose]();
    else this.#losses.set(request, watch);
  }

  /** The request waits no more. */
  #leave(request: Request): void {
    this.#take(request);
    this.#asking.delete(request);
    this.#holds.release(request);
    this.#env.suspects.leave(request);
  }

  /** Out of the line for a slot; where it has a turn, it keeps it. */
  #take(request: Request): void {
    this.#ready.delete(request);
    this.#losses.get(request)?.[Symbol.dispose]();
    this.#losses.delete(request);
  }
}
