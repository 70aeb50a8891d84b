/**
 * The end of a worker's work: how long it waits for what, and what it does with what does not end.
 *
 * @module
 */
import { WorkerShutdownError } from "../errors.ts";
import { deferred } from "../lib/deferred.ts";
import type { Timer } from "../lib/port.ts";
import type { Env } from "./env.ts";
import { conclude } from "./execute.ts";
import { isNews, keeps, store } from "./keep.ts";
import { failed } from "./outcome.ts";
import { recordOf } from "./record.ts";
import type { Request } from "./request.ts";
import { lostRetry } from "./resend.ts";

/** A warm shutdown waits so long for a backend in trouble once nothing runs, ms. */
const STORED_WARM = 10_000;

/** A warm shutdown waits so long for a broker that takes no copies (an alarm), ms: what is unsettled goes back as the link closes. */
const SETTLED_WARM = 10_000;

/** Since a cold shutdown began, ms: for tasks that heed their signal, for their results, for what is settled to reach the broker. */
const RAN = 1000;
const STORED = 3000;
const FLUSHED = 5000;

/** Watches over one worker's end. `cold` is aborted when it is to wait no longer. */
export class Ending implements Disposable {
  readonly #env: Env;
  readonly #cold: AbortSignal;
  readonly #cut = (): void => this.#cutShort();
  #since = 0;

  constructor(env: Env, cold: AbortSignal) {
    this.#env = env;
    this.#cold = cold;
    if (cold.aborted) this.#cutShort();
    else cold.addEventListener("abort", this.#cut, { once: true });
  }

  /** Waits for what runs, and for its results. Under a cold shutdown what does not end is abandoned, so that nothing is left to wait for. */
  async work(): Promise<void> {
    const { results, state } = this.#env;
    await this.#within(RAN, state.ran());
    for (const request of [...state.active]) abandon(request);
    const idle = state.idle();
    if (!await this.#within(STORED, results.end(STORED_WARM, idle))) await results.end(0, idle);
    await this.#within(STORED, idle);
    for (const request of [...state.ended]) abandon(request);
  }

  /** Waits for `flushed`: what was settled is to reach the broker before the link closes. */
  async flush(flushed: Promise<unknown>): Promise<void> {
    await this.#within(FLUSHED, flushed);
  }

  /** Waits for settlements that are under way. */
  async settled(under: Promise<unknown>): Promise<void> {
    const { promise: late, resolve } = deferred<void>();
    const timer = this.#env.clock.after(SETTLED_WARM, resolve);
    await this.flush(Promise.race([under, late]));
    timer.cancel();
  }

  [Symbol.dispose](): void {
    this.#cold.removeEventListener("abort", this.#cut);
  }

  #cutShort(): void {
    this.#since = this.#env.clock.elapsed();
    for (const request of [...this.#env.state.active]) request.abort(new WorkerShutdownError());
  }

  /** True when the work is done, false when a cold shutdown has lasted `ms` before that. */
  async #within(ms: number, work: Promise<unknown>): Promise<boolean> {
    const { clock } = this.#env;
    const { promise: late, resolve } = deferred<false>();
    let timer: Timer | undefined;
    const arm = (): void => {
      timer = clock.after(Math.max(0, this.#since + ms - clock.elapsed()), () => resolve(false));
    };
    if (this.#cold.aborted) arm();
    else this.#cold.addEventListener("abort", arm, { once: true });
    try {
      return await Promise.race([work.then(() => true), late]);
    } finally {
      timer?.cancel();
      this.#cold.removeEventListener("abort", arm);
    }
  }
}

/**
 * Waits for the run no longer. Its message goes back to its queue, where it is still ours; else the run is lost, and that is what is stored.
 * Code cannot be killed here: it may go on for as long as the process lives, and what it comes to is dropped.
 */
function abandon(request: Request): void {
  request.limits?.[Symbol.dispose]();
  if (!request.abandoned) giveUp(request);
  request.env.state.abandon(request);
}

function giveUp(request: Request): void {
  const { env, isSettled, outcome } = request;
  const isLost = outcome === undefined || (outcome.is === "retry" && !request.sent);
  const fate = !isSettled ? "it goes back to its queue" : isLost ? "it is lost" : "it has run";
  if (!isSettled) void request.release({ as: "requeue" });
  else if (outcome === undefined) keepLoss(request);
  else {
    // Nobody else knows of the retry that is still to be sent.
    if (isLost) conclude(request, failed(lostRetry(request)));
    if (isNews(request) && keeps(request)) void store(request);
  }
  env.logger.log("warning", `Task ${request.label} did not end in time: ${fate}.`, request.about);
  request.abandoned = true;
  env.probe?.abandoned?.(request);
}

function keepLoss(request: Request): void {
  if (!request.keepsErrors) return;
  const result = {
    exc_type: "WorkerLostError",
    exc_message: ["The worker shut down while the task ran, and it was acked early: it will not run again."],
    exc_module: "billiard.exceptions",
  };
  void request.write(recordOf(request, { status: "FAILURE", result, traceback: null }));
}
