/**
 * Watches over a running worker: tells of an event loop that was blocked, and ends a worker that has not consumed for too long.
 *
 * @module
 */
import { CeleriacError } from "../errors.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import type { Clock, Timer } from "../lib/port.ts";
import type { Env } from "./env.ts";
import type { Health, WorkerHealth } from "./health.ts";
import { label } from "./lines.ts";

/** When a worker is in trouble. A number is seconds, a string carries its unit. */
export interface WatchOptions {
  /** `health()` is "down" when no message could have come for so long. @default "15s" (a link at rest is asked every 5 s) */
  readonly silenceLimit?: Duration;
  /**
   * A warning, `blocked-loop`, is logged when the event loop stood still for so long: a task computes without a pause, and neither other
   * tasks, nor timers, nor heartbeats get their turn. Null for never. @default "2s"
   */
  readonly blockedLimit?: Duration | null;
  /**
   * `run()` ends with the error `worker-dead` when the worker was not healthy for so long, so that a supervisor starts it again; running
   * tasks end before. Null for never: a new process mends no broker that is away. @default null
   */
  readonly deadLimit?: Duration | null;
}

/** The same in ms. */
export interface WatchTimes {
  readonly silence: number;
  readonly blocked: number;
  readonly dead: number;
}

/** Throws `ConfigurationError` "duration-invalid". */
export function readWatchOptions(options: WatchOptions): WatchTimes {
  const { blockedLimit = "2s", deadLimit = null, silenceLimit = "15s" } = options;
  return {
    silence: toMs(silenceLimit, "silenceLimit", 0.001),
    blocked: blockedLimit === null ? Infinity : toMs(blockedLimit, "blockedLimit", 0.001),
    dead: deadLimit === null ? Infinity : toMs(deadLimit, "deadLimit", 0.001),
  };
}

/** The watchdog of a worker. */
export function watchdogOf(
  { blocked, dead }: WatchTimes,
  env: Env,
  health: Health,
  fail: (error: CeleriacError) => void,
): Watchdog {
  return new Watchdog({
    clock: env.clock,
    health: () => health.look(),
    blockedAfter: blocked,
    blocked: (ms) => {
      const names = env.state.snapshot().active.slice(0, 5).map(({ id, name }) => label(name, id));
      // A task that computes to its end has ended before anybody can look.
      const { last } = env.state;
      const ended = last === undefined ? "no task was running" : `ended last: ${last.label}`;
      const tasks = names.length === 0 ? ended : `running: ${names.join(", ")}`;
      const line = `The event loop was blocked for ${(ms / 1000).toFixed(1)} s (${tasks}). ` +
        "Other tasks, timers and heartbeats waited: let long computations pause, or run them elsewhere.";
      env.logger.log("warning", line, { code: "blocked-loop", blockedFor: ms / 1000 });
    },
    deadAfter: dead,
    dead: (error) => {
      env.logger.log("critical", error.message, { code: error.code, error });
      fail(error);
    },
  });
}

/** How often it looks, ms. */
const EVERY = 500;

/** Lines about a blocked event loop come no more often than this, ms. */
const TELLS = 10_000;

/** What it does where something is wrong. */
export interface WatchdogParts {
  readonly clock: Clock;
  readonly health: () => WorkerHealth;
  /** The event loop stood still for so long, ms; Infinity is never told of. */
  readonly blockedAfter: number;
  readonly blocked: (ms: number) => void;
  /** The worker has not consumed for so long, ms; Infinity is never. */
  readonly deadAfter: number;
  readonly dead: (error: CeleriacError) => void;
}

/** Looks twice a second, until it is disposed of; never where neither limit is finite. */
export class Watchdog implements Disposable {
  readonly #parts: WatchdogParts;
  #timer: Timer | undefined;
  #lookedAt: number;
  /** Monotonic, ms. */
  #toldAt = -Infinity;
  /** Since when the worker has not consumed, monotonic ms. */
  #deadSince: number;

  constructor(parts: WatchdogParts) {
    this.#parts = parts;
    this.#lookedAt = parts.clock.elapsed();
    this.#deadSince = this.#lookedAt;
    // With nothing to look for it keeps no clock busy.
    if (parts.blockedAfter < Infinity || parts.deadAfter < Infinity) this.#arm();
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#parts.clock.after(EVERY, () => this.#look(), { keepAlive: false });
  }

  #look(): void {
    this.#arm();
    const { blocked, blockedAfter, clock, dead, deadAfter, health } = this.#parts;
    const now = clock.elapsed();
    const late = now - this.#lookedAt - EVERY;
    this.#lookedAt = now;
    if (late >= blockedAfter && now - this.#toldAt >= TELLS) {
      this.#toldAt = now;
      blocked(late);
    }
    // What waits in the socket is read before it is judged: the wait of a blocked loop is nobody's silence.
    if (late >= EVERY) return;
    const { healthy, reasons, state } = health();
    if (healthy || state === "stopping" || state === "stopped") this.#deadSince = now;
    else if (now - this.#deadSince >= deadAfter) {
      this[Symbol.dispose]();
      const why = reasons[0] === undefined ? "" : ` ${reasons[0].message}`;
      dead(
        new CeleriacError(
          "worker-dead",
          `The worker has consumed nothing for ${Math.round((now - this.#deadSince) / 1000)} s.${why}`,
          { hint: "Let a supervisor start it again; see docs/operations.md." },
        ),
      );
    }
  }
}
