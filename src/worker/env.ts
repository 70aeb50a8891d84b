/**
 * What all requests of one worker share, and the two things that they do to the world: store and settle.
 *
 * @module
 */
import type { AppInner } from "../app/inner.ts";
import type { Settings } from "../app/settings.ts";
import type { Backend, ResultRecord } from "../backend.ts";
import type { Delivery, Settlement } from "../broker.ts";
import type { Logger } from "../lib/logger.ts";
import { doze } from "./doze.ts";
import type { Clock, Context } from "../lib/port.ts";
import { guarded } from "./guarded.ts";
import type { Limits } from "./limits.ts";
import { failed } from "./outcome.ts";
import { exceptionRepr } from "./lines.ts";
import { Successes } from "./known.ts";
import { Starts } from "./poison.ts";
import type { Probe } from "./probe.ts";
import { Results, type Subject } from "./results.ts";
import { Revokes } from "./revokes.ts";
import { WorkerState } from "./state.ts";
import { Suspects } from "./suspects.ts";
import { Unsent } from "./unsent.ts";

export type { Subject };

/** Before a message goes back that the broker could not keep for later, ms: at least, and at most. */
const UNKEPT_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

/** What an environment is made of, besides its app. */
export interface EnvParts {
  /** The worker's node name. */
  readonly hostname: string;
  readonly limits: Limits;
  readonly logger: Logger;
  readonly probe: Probe | undefined;
  /** Aborted when the worker is to stop. */
  readonly stopping: AbortSignal;
}

/** The surroundings of a worker's requests. */
export class Env {
  readonly app: AppInner;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly context: Context;
  /** A turn of the event loop, where `openContent` needs one. */
  readonly turn: (() => Promise<void>) | undefined;
  /** Never throws. */
  readonly logger: Logger;
  /** The worker's node name. */
  readonly hostname: string;
  readonly state: WorkerState = new WorkerState();
  readonly results: Results;
  readonly revokes: Revokes;
  /** Who looks on, where somebody does. */
  readonly probe: Probe | undefined;
  /** Aborted when the worker is to stop. */
  readonly stopping: AbortSignal;
  /** Those of a task that says nothing of its own. */
  readonly limits: Limits;
  /** Starts that came to no end. */
  readonly starts: Starts = new Starts(this);
  /** Those that may not begin side by side. */
  readonly suspects: Suspects = new Suspects();
  /** Messages that go back because something could not be sent. */
  readonly unsent: Unsent = new Unsent();
  /** Whether the broker takes no publishes at the moment, as far as it said. */
  isBlocked = false;
  /** Tasks that are known to have succeeded. */
  readonly successes: Successes = new Successes(this);
  #backend: Backend | undefined;
  /** Stores and settlements on their way. */
  #busy = 0;
  #quiet: (() => void) | undefined;
  /** The instant written last, and its text: tasks of one ms share it. */
  #instantOf = Number.NaN;
  #instant = "";

  constructor(app: AppInner, { hostname, limits, logger, probe, stopping }: EnvParts) {
    this.app = app;
    this.probe = probe;
    this.stopping = stopping;
    this.settings = app.settings;
    this.limits = limits;
    const { clock, context, host, random } = app.platform;
    this.clock = clock;
    this.turn = host.runtime === "workerd"
      ? () => new Promise((resolve) => void clock.after(0, resolve))
      : undefined;
    this.context = context;
    this.hostname = hostname;
    this.logger = guarded(logger);
    this.results = new Results({
      clock,
      random,
      logger: this.logger,
      settings: () => this.settings,
      backend: () => this.backend,
    });
    this.revokes = new Revokes({ clock, logger: this.logger, facts: () => this.backend?.facts });
  }

  /** Undefined where the app has none. Found at first use: until then its settings may still change. */
  get backend(): Backend | undefined {
    return this.#backend ??= this.app.backend();
  }

  /** Wall time, ms since the epoch. */
  now(): number {
    return this.clock.now();
  }

  /** Now, as results tell it: ISO text in the app's time zone. */
  instant(): string {
    const now = this.clock.now();
    if (now === this.#instantOf) return this.#instant;
    this.#instantOf = now;
    return this.#instant = this.app.instant(now);
  }

  /** Whether the state is stored when the promise resolves; a backend in trouble is told and survived. See {@link Results.save}. */
  store(
    record: ResultRecord,
    replyTo: string | null,
    subject: Subject,
    patience?: number,
  ): Promise<boolean> {
    const options = patience === undefined ? { replyTo } : { replyTo, patience };
    return this.during(this.results.save(record, subject, options));
  }

  /** Whether the delivery is settled. The broker gives out again what came too late: Celery says "Couldn't ack", and so do we. */
  async settle(delivery: Delivery, how: Settlement, subject?: Subject): Promise<boolean> {
    let reason = "its link is lost, and the broker gives it out again";
    this.#busy++;
    try {
      if (await delivery.settle(how) === "settled") return true;
    } catch (error) {
      reason = exceptionRepr(failed(error).exception);
      if (how.as === "requeue" && how.notBefore !== undefined) {
        return await this.#putBack(delivery, how.notBefore, subject);
      }
    } finally {
      this.#done();
    }
    const line = `Couldn't ${how.as} ${subject?.label ?? "a message"}, reason: ${reason}`;
    this.logger.log("warning", line, { ...subject?.about, code: "settlement-stale" });
    return false;
  }

  /** Counts the work among what is on its way. */
  during<T>(work: Promise<T>): Promise<T> {
    this.#busy++;
    const done = (): void => this.#done();
    // Beside it: whoever waits for the work does not wait for us.
    work.then(done, done);
    return work;
  }

  /** The broker cannot keep it until later, and takes it back all the same: not at once, lest it go round and round. */
  async #putBack(delivery: Delivery, notBefore: number, subject?: Subject): Promise<boolean> {
    const pause = Math.min(LONGEST_PAUSE, Math.max(UNKEPT_PAUSE, notBefore - this.now()));
    await doze(this.clock, pause, this.stopping);
    return await this.settle(delivery, { as: "requeue" }, subject);
  }

  /**
   * Whether the broker keeps the delivery until then. "stale": its link went, and it comes again, perhaps twice. "refused": it is still
   * ours, which is told.
   */
  async park(delivery: Delivery, until: number, subject: Subject): Promise<"parked" | "stale" | "refused"> {
    this.#busy++;
    try {
      return await delivery.settle({ as: "park", until }) === "settled" ? "parked" : "stale";
    } catch (error) {
      const line = `Couldn't park ${subject.label}, it is held: ${exceptionRepr(failed(error).exception)}`;
      this.logger.log("warning", line, { ...subject.about, code: "park-failed", error });
      return "refused";
    } finally {
      this.#done();
    }
  }

  /** Whether no store and no settlement is on its way. */
  get isQuiet(): boolean {
    return this.#busy === 0;
  }

  /** Resolves when no store and no settlement is on its way; none may be begun any more. */
  quiet(): Promise<void> {
    if (this.isQuiet) return Promise.resolve();
    return new Promise((resolve) => this.#quiet = resolve);
  }

  #done(): void {
    if (--this.#busy === 0) this.#quiet?.();
  }
}
