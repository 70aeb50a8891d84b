/**
 * Messages with an ETA: kept unsettled until their time, each with a timer, while the prefetch grows to make room for others.
 *
 * @module
 */
import type { Consumer } from "../broker.ts";
import type { Timer } from "../lib/port.ts";
import type { Env } from "./env.ts";
import { exceptionRepr } from "./lines.ts";
import { failed } from "./outcome.ts";
import type { Request } from "./request.ts";
import { widen } from "./window.ts";

/** How far held messages may widen the prefetch; what comes beyond holds up its queue. */
const WIDEST = 10_000;

/** The held messages of one worker. */
export class Holds {
  readonly #env: Env;
  readonly #consumer: Consumer;
  readonly #base: number;
  readonly #timers = new Map<Request, Timer>();
  readonly #perQueue = new Map<string, number>();
  #width = 0;
  #asked = 0;
  #asking = false;

  /** `base` is the prefetch without held messages; 0 is unlimited. */
  constructor(env: Env, consumer: Consumer, base: number) {
    this.#env = env;
    this.#consumer = consumer;
    this.#base = base;
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
    this.#count(request, 1);
    const arm = (): void => {
      const left = until - this.#env.now();
      // A timer may fire a little early, and a wall clock may be set back.
      if (left > 0) this.#timers.set(request, this.#env.clock.after(left, arm));
      else if (this.release(request)) due();
    };
    arm();
  }

  /** Stops waiting for this request; false when it was not held. */
  release(request: Request): boolean {
    const timer = this.#timers.get(request);
    if (timer === undefined) return false;
    timer.cancel();
    this.#timers.delete(request);
    this.#count(request, -1);
    return true;
  }

  #count({ delivery: { queue } }: Request, by: number): void {
    const left = (this.#perQueue.get(queue) ?? 0) + by;
    if (left === 0) this.#perQueue.delete(queue);
    else this.#perQueue.set(queue, left);
    this.#width = widen(this.#base, this.#width, Math.max(0, ...this.#perQueue.values()), WIDEST);
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
