/**
 * The worker's view of its link to the broker: the first connect, told and repeated as Celery does, and news of losses after it.
 *
 * @module
 */
import type { Broker, BrokerEvent } from "../broker.ts";
import { CeleriacError, ConnectionError } from "../errors.ts";
import { deferred } from "../lib/deferred.ts";
import { unlessAborted } from "./abort.ts";
import type { Env } from "./env.ts";
import type { Health } from "./health.ts";
import { printable } from "./lines.ts";

/** Refusals that no repeat will change. */
const FINAL: ReadonlySet<string> = new Set([
  "broker-credentials-refused",
  "broker-vhost-missing",
  "broker-vhost-refused",
  "broker-tls",
  "broker-protocol",
]);

/** kombu's pace of connecting, ms: two seconds more each time, up to 32. */
const STEP = 2000;
const LONGEST = 32_000;

/** Watches over one broker for one worker. */
export class Link implements Disposable {
  readonly #env: Env;
  readonly #broker: Broker;
  readonly #health: Pick<Health, "failed" | "heed">;
  readonly #fail: (error: Error) => void;
  readonly #watch: Disposable;
  /** Whether it ever stood: until then open() tells. */
  #opened = false;
  #connected = false;
  #attempts = 0;

  /** `health` hears of everything; `fail` is called when the link is given up after it once stood. */
  constructor(
    env: Env,
    broker: Broker,
    health: Pick<Health, "failed" | "heed">,
    fail: (error: Error) => void,
  ) {
    this.#env = env;
    this.#broker = broker;
    this.#health = health;
    this.#fail = fail;
    this.#watch = broker.observe((event) => this.#heed(event));
  }

  /**
   * Connects; where the settings allow it, again and again. Resolves with false when `signal` was aborted first, throws the coded error of
   * the last attempt.
   */
  async open(signal: AbortSignal): Promise<boolean> {
    const { settings } = this.#env;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        if (!await unlessAborted(this.#broker.connect({ signal }), signal)) break;
        this.#up();
        return true;
      } catch (error) {
        const allowed = settings.brokerConnectionRetryOnStartup &&
          attempt <= settings.brokerConnectionMaxRetries;
        if (!allowed || !(error instanceof ConnectionError) || FINAL.has(error.code)) throw error;
        this.#health.failed(error);
        const wait = Math.min(LONGEST, STEP * attempt);
        this.#cannot(error, wait, attempt);
        await this.#pause(wait, signal);
      }
    }
    return false;
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  #heed(event: BrokerEvent): void {
    this.#health.heed(event);
    switch (event.is) {
      case "up":
        if (event.link === "consume" && this.#opened) this.#up();
        return;
      case "down":
        // The publishing link has its own errors, where somebody waits for them.
        if (event.link === "consume" && this.#opened) this.#down(event.error, event.retryIn);
        return;
      case "blocked":
        this.#env.isBlocked = true;
        this.#env.logger.log("warning", `Connection blocked by the broker: ${printable(event.reason)}`);
        return;
      case "unblocked":
        this.#env.isBlocked = false;
        this.#env.logger.log("info", "Connection no longer blocked by the broker.");
        return;
      case "warning":
        this.#env.logger.log("warning", `${this.#broker.address}: ${printable(event.reason)}`, {
          code: event.code,
        });
        return;
      case "fatal":
        this.#fail(event.error);
    }
  }

  #up(): void {
    if (this.#connected) return;
    this.#opened = true;
    this.#connected = true;
    this.#attempts = 0;
    this.#env.logger.log("info", `Connected to ${this.#broker.address}`);
  }

  #down(error: Error, retryIn: number | undefined): void {
    const { logger, settings } = this.#env;
    if (!isLinkError(error)) {
      const reason = printable(error.message.replace(/\.$/, ""));
      logger.log("error", `consumer: Cannot consume: ${reason}.\n${again(retryIn ?? 0)}\n`, coded(error));
      if (!settings.brokerChannelErrorRetry && isChannelError(error)) this.#fail(error);
      return;
    }
    if (this.#connected) {
      this.#connected = false;
      const line = "consumer: Connection to broker lost. Trying to re-establish the connection...";
      logger.log("warning", line, { ...coded(error), reason: error.message });
      if (!settings.brokerConnectionRetry) this.#fail(error);
      return;
    }
    this.#attempts++;
    if (this.#attempts > settings.brokerConnectionMaxRetries) this.#fail(error);
    else this.#cannot(error, retryIn ?? 0, this.#attempts);
  }

  /** `CONNECTION_ERROR` and `CONNECTION_RETRY_STEP` of celery/worker/consumer/consumer.py. */
  #cannot(error: Error, wait: number, attempt: number): void {
    const most = this.#env.settings.brokerConnectionMaxRetries;
    const next = `${again(wait)} (${attempt}/${most === Infinity ? "None" : most})`;
    const reason = printable(error.message.replace(/\.$/, ""));
    this.#env.logger.log(
      "error",
      `consumer: Cannot connect to ${this.#broker.address}: ${reason}.\n${next}\n`,
      coded(error),
    );
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = deferred<void>();
    const timer = this.#env.clock.after(ms, resolve);
    const stop = (): void => resolve();
    signal.addEventListener("abort", stop, { once: true });
    // Whoever was told of the failure may have answered with a stop.
    if (signal.aborted) stop();
    await promise;
    timer.cancel();
    signal.removeEventListener("abort", stop);
  }
}

/** A queue may be lost to us while the link stands: it was deleted, or a message was held for too long. */
function isLinkError(error: Error): boolean {
  return !(error instanceof CeleriacError) || error.code.startsWith("broker-");
}

/** A consumer that was cancelled is none: py-amqp takes that for a loss of the connection. */
function isChannelError(error: Error): boolean {
  return error instanceof CeleriacError && error.code !== "consumer-cancelled";
}

/** What a structured log tells of it. */
function coded(error: Error): Readonly<Record<string, unknown>> {
  return error instanceof CeleriacError ? { error, code: error.code } : { error };
}

function again(ms: number): string {
  return `Trying again in ${(ms / 1000).toFixed(2)} seconds...`;
}
