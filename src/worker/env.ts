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
import type { Clock, Context } from "../lib/port.ts";
import { guarded } from "./guarded.ts";
import { failed } from "./outcome.ts";
import { exceptionRepr } from "./lines.ts";
import type { Probe } from "./probe.ts";
import { WorkerState } from "./state.ts";

/** What a line is about; asked only when there is a line. */
export interface Subject {
  /** `tasks.add[id]`. */
  readonly label: string;
  /** For structured sinks. */
  readonly about: { readonly taskId: string; readonly taskName: string };
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
  /** Who looks on, where somebody does. */
  readonly probe: Probe | undefined;
  /** Aborted when the worker is to stop. */
  readonly stopping: AbortSignal;
  #backend: Backend | undefined;
  /** Stores and settlements on their way. */
  #busy = 0;
  #quiet: (() => void) | undefined;
  /** The instant written last, and its text: tasks of one ms share it. */
  #instantOf = Number.NaN;
  #instant = "";

  constructor(app: AppInner, hostname: string, logger: Logger, stopping: AbortSignal, probe?: Probe) {
    this.app = app;
    this.probe = probe;
    this.stopping = stopping;
    this.settings = app.settings;
    const { clock, context, host } = app.platform;
    this.clock = clock;
    this.turn = host.runtime === "workerd"
      ? () => new Promise((resolve) => void clock.after(0, resolve))
      : undefined;
    this.context = context;
    this.hostname = hostname;
    this.logger = guarded(logger);
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

  /** Stores a state. A backend in trouble is told and survived: the task has run. */
  async store(record: ResultRecord, replyTo: string | null, subject: Subject): Promise<void> {
    const { backend } = this;
    if (backend === undefined) return;
    this.#busy++;
    try {
      const ttl = this.settings.resultExpires;
      await backend.store(record, replyTo === null ? { ttl } : { ttl, replyTo });
    } catch (error) {
      const { exception, traceback } = failed(error);
      const line = `Couldn't store ${record.status} of task ${subject.label}: ${exceptionRepr(exception)}`;
      this.logger.log("error", line, { ...subject.about, code: "result-store-failed", error, traceback });
    } finally {
      this.#done();
    }
  }

  /** Whether the delivery is settled. The broker gives out again what came too late: Celery says "Couldn't ack", and so do we. */
  async settle(delivery: Delivery, how: Settlement, subject?: Subject): Promise<boolean> {
    let reason = "its link is lost, and the broker gives it out again";
    this.#busy++;
    try {
      if (await delivery.settle(how) === "settled") return true;
    } catch (error) {
      reason = exceptionRepr(failed(error).exception);
    } finally {
      this.#done();
    }
    const line = `Couldn't ${how.as} ${subject?.label ?? "a message"}, reason: ${reason}`;
    this.logger.log("warning", line, { ...subject?.about, code: "settlement-stale" });
    return false;
  }

  /** Resolves when no store and no settlement is on its way; none may be begun any more. */
  quiet(): Promise<void> {
    if (this.#busy === 0) return Promise.resolve();
    return new Promise((resolve) => this.#quiet = resolve);
  }

  #done(): void {
    if (--this.#busy === 0) this.#quiet?.();
  }
}
