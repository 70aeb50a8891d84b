/**
 * Messages with an ETA that are kept unsettled until their time, each with a timer. Few and not for long, where the broker parks the others;
 * where it does not, the prefetch grows to make room.
 *
 * @module
 */
import type { Consumer } from "../broker.ts";
import type { Timer } from "../lib/port.ts";
import type { Env } from "./env.ts";
import { exceptionRepr } from "./lines.ts";
import { failed } from "./outcome.ts";
import type { Request } from "./request.ts";
import { type Patience, putOff } from "./strategy.ts";
import { beyondRoom, holdingRoom, PARKS, type Waiting, widen, widestFor } from "./window.ts";

/** After a park that failed all are held for so long, ms: the next one would fare the same, and hold its place meanwhile. */
const UNPARKED = 30_000;

/** So often, ms, what is held for want of a broker that parks is planned again; where many are parked already, a second later. */
const AGAIN = 30_000;
const CROWDED = 1000;

/** What is done with a task whose time has not come. */
export type Plan = ReturnType<typeof putOff> | {
  readonly as: "hold";
  /** When to plan again, ms since the epoch. */
  readonly again: number;
};

/** The held messages of one worker. */
export class Holds {
  readonly #env: Env;
  readonly #consumer: Consumer;
  readonly #base: number;
  readonly #patience: Patience;
  readonly #timers = new Map<Request, Timer>();
  readonly #perQueue = new Map<string, Waiting>();
  #width = 0;
  /** Not before this instant, ms since the epoch, is anything parked. */
  #parksFrom = -Infinity;
  #asked = 0;
  #asking = false;

  /** `base` is the prefetch without held messages, 0 for unlimited; `longest` the broker's longest park, ms, 0 for none. */
  constructor(env: Env, consumer: Consumer, base: number, longest: number) {
    this.#env = env;
    this.#consumer = consumer;
    this.#base = base;
    const { workerEtaTaskLimit, workerParkAfter } = env.settings;
    this.#patience = { near: workerParkAfter, room: holdingRoom(base, workerEtaTaskLimit), longest };
  }

  /**
   * Whether a task of this queue that is due at `until` (ms since the epoch) is held, or until when it is parked. `again`: it was held, since
   * the broker parked nothing.
   */
  plan(queue: string, until: number, again: boolean): Plan {
    const now = this.#env.now();
    const { held, parking } = this.#perQueue.get(queue) ?? { held: 0, parking: 0 };
    const plan = putOff(until, now, held, this.#patience);
    if (plan.as === "hold") return plan;
    // A park would take no place from others, but wait for the end of the alarm, perhaps beyond the task's time.
    if (this.#env.isBlocked || now < this.#parksFrom) return holdUntil(now + AGAIN, until);
    // What comes is as much as the window lets in; what was held may be very many.
    return again && parking >= PARKS ? holdUntil(now + CROWDED, until) : plan;
  }

  /** While `work` parks the request it takes no place from those that are ready. */
  async parking(request: Request, work: Promise<boolean>): Promise<boolean> {
    this.#count(request, "parking", 1);
    try {
      return await work;
    } finally {
      this.#count(request, "parking", -1);
    }
  }

  /** A park failed: for a while all are held. */
  onParkFailed(): void {
    this.#parksFrom = this.#env.now() + UNPARKED;
  }

  /** The requests that wait for their ETA. */
  get held(): Iterable<Request> {
    return this.#timers.keys();
  }

  /** Whether the request waits for its ETA. */
  has(request: Request): boolean {
    return this.#timers.has(request);
  }

  /** Calls `due` once at `until` (ms since the epoch), never before it, unless the request is released first. */
  hold(request: Request, until: number, due: () => void): void {
    const arm = (left: number): void => {
      this.#timers.set(
        request,
        this.#env.clock.after(left, () => {
          // A timer may fire a little early, and a wall clock may be set back.
          const still = until - this.#env.now();
          if (still > 0) arm(still);
          else if (this.release(request)) due();
        }),
      );
    };
    const left = until - this.#env.now();
    // Its time may have come since it was planned, or while the broker refused to park it.
    if (left <= 0) return due();
    this.#count(request, "held", 1);
    arm(left);
  }

  /** Stops waiting for this request; false when it was not held. */
  release(request: Request): boolean {
    const timer = this.#timers.get(request);
    if (timer === undefined) return false;
    timer.cancel();
    this.#timers.delete(request);
    this.#count(request, "held", -1);
    return true;
  }

  #count({ delivery: { queue } }: Request, what: keyof Waiting, by: number): void {
    const { held, parking } = this.#perQueue.get(queue) ?? { held: 0, parking: 0 };
    const now = what === "held" ? { held: held + by, parking } : { held, parking: parking + by };
    if (now.held + now.parking === 0) this.#perQueue.delete(queue);
    else this.#perQueue.set(queue, now);
    const { longest, room } = this.#patience;
    // What the window has room for does not widen it.
    const beyond = beyondRoom(this.#perQueue.values(), longest > 0 ? room : 0);
    const widest = widestFor(this.#env.settings.workerEtaTaskLimit);
    this.#width = widen(this.#base, this.#width, beyond, widest);
    void this.#ask();
  }

  /** One change of the prefetch at a time; what is wanted meanwhile is asked for afterwards, once. */
  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      while (this.#asked !== this.#width) {
        this.#asked = this.#width;
        await this.#consumer.setPrefetch(this.#base + this.#asked);
      }
    } catch (error) {
      const { exception } = failed(error);
      this.#env.logger.log("warning", `Couldn't change the prefetch: ${exceptionRepr(exception)}`, { error });
    } finally {
      this.#asking = false;
    }
  }
}

/** Not for good: far ones would fill the window and meet RabbitMQ's `consumer_timeout`. */
function holdUntil(again: number, until: number): Plan {
  return again < until ? { as: "hold", again } : { as: "hold" };
}
