/**
 * How a worker is asked to stop: warm, soft or cold; what was asked can be made harder, never softer.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import { checkOptionNames } from "../lib/options.ts";
import type { Timer } from "../lib/port.ts";
import type { Env } from "./env.ts";

/** How a worker stops. */
export interface StopOptions {
  /**
   * "warm": what runs is waited for. "soft": for `grace`, then cold. "cold": what runs has its `task.signal` aborted and a second to end.
   *
   * @default "warm"
   */
  readonly how?: "warm" | "soft" | "cold";
  /** How long what runs is waited for before it goes on cold. @default warm: for ever; soft: the setting `workerSoftShutdownTimeout` */
  readonly grace?: Duration;
  /** Aborted: it goes on cold at once. */
  readonly signal?: AbortSignal;
}

const NAMES = ["how", "grace", "signal"];

/** The shutdown of one worker. */
export class Shutdown {
  readonly #env: () => Env;
  readonly #begun = new AbortController();
  readonly #cold = new AbortController();
  readonly #signals = new Set<AbortSignal>();
  readonly #timers = new Set<Timer>();
  readonly #freeze = (): void => this.#cold.abort();

  constructor(env: () => Env) {
    this.#env = env;
  }

  /** Aborted once the worker is to stop. */
  get begun(): AbortSignal {
    return this.#begun.signal;
  }

  /** Aborted once it is to wait no longer. */
  get cold(): AbortSignal {
    return this.#cold.signal;
  }

  /** Throws `ConfigurationError` "option-unknown", "option-invalid", "duration-invalid". */
  ask(options: StopOptions = {}): void {
    checkOptionNames("stop()", options, NAMES);
    const { how = "warm", signal } = options;
    if (!["warm", "soft", "cold"].includes(how)) {
      throw new ConfigurationError("option-invalid", 'stop() is told how: "warm", "soft" or "cold".');
    }
    const grace = options.grace === undefined ? undefined : toMs(options.grace, "grace");
    // Cold first: whoever hears that it begins must know how.
    if (how === "cold" && grace === undefined) this.#freeze();
    else if (how === "soft") this.#soft(grace ?? this.#env().settings.workerSoftShutdownTimeout);
    else if (grace !== undefined) this.#freezeAfter(grace);
    this.#heed(signal);
    this.#begun.abort();
  }

  /** Nothing of it waits any more. */
  end(): void {
    for (const timer of this.#timers) timer.cancel();
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#freeze);
    this.#timers.clear();
    this.#signals.clear();
  }

  /** celery/worker/worker.py `wait_for_soft_shutdown`. */
  #soft(grace: number): void {
    const { logger, settings, state } = this.#env();
    const worthIt = settings.workerEnableSoftShutdownOnIdle || state.isRunning;
    if (grace === 0 || !worthIt || this.cold.aborted) return this.#freeze();
    logger.log("warning", `Initiating Soft Shutdown, terminating in ${grace / 1000} seconds`);
    this.#freezeAfter(grace);
  }

  #freezeAfter(ms: number): void {
    if (!this.cold.aborted) this.#timers.add(this.#env().clock.after(ms, this.#freeze));
  }

  #heed(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    if (signal.aborted) return this.#freeze();
    this.#signals.add(signal);
    signal.addEventListener("abort", this.#freeze, { once: true });
  }
}
