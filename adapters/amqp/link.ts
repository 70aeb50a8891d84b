/**
 * A connection that is opened when it is needed and, while it is held, opened again when it is lost.
 *
 * @module
 */
import type { BrokerEvent, Call } from "../../src/broker.ts";
import { CeleriacError, ConnectionError } from "../../src/errors.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import { backoffDelay } from "./backoff.ts";
import { connect } from "./connect.ts";
import { CLOSED_BY_US, type Epoch } from "./epoch.ts";
import { FRAME_END } from "./encode.ts";
import { silence } from "./errors.ts";
import { Heartbeat } from "./heartbeat.ts";
import { demandTime, sleep, within } from "./limit.ts";
import { pulseOf } from "./pulse.ts";
import type { Roads } from "./roads.ts";

/** An empty heartbeat frame on channel 0. */
const HEARTBEAT = Uint8Array.of(8, 0, 0, 0, 0, 0, 0, FRAME_END);

/** A connection that lived this long was a good one: the next failure counts as the first, ms. */
const GOOD_LIFE = 5000;

/** What a link is made of. */
export interface LinkParts {
  readonly kind: "publish" | "consume";
  readonly roads: Roads;
  readonly emit: (event: BrokerEvent) => void;
}

/** One of the broker's two connections. */
export class Link {
  readonly kind: "publish" | "consume";
  readonly #parts: LinkParts;
  readonly #lossListeners: Set<(epoch: Epoch) => void> = new Set();
  #epoch: Epoch | undefined;
  #opening: Promise<Epoch> | undefined;
  #waiting: Deferred<Epoch> | undefined;
  #holders = 0;
  #keeping: AbortController | undefined;
  #failures = 0;
  #over = false;
  /** Bumped by `close`: an attempt of before is then thrown away. */
  #session = 0;

  constructor(parts: LinkParts) {
    this.kind = parts.kind;
    this.#parts = parts;
  }

  /** The live connection, if there is one. */
  get epoch(): Epoch | undefined {
    return this.#epoch;
  }

  /** Whether it is open, being opened, or held. */
  get wanted(): boolean {
    return this.#epoch !== undefined || this.#opening !== undefined || this.#holders > 0;
  }

  /** Calls `listener` with each connection that was up and is lost. */
  onLost(listener: (epoch: Epoch) => void): void {
    this.#lossListeners.add(listener);
  }

  /** The live connection, or one attempt on every URL to get one; throws the last attempt's coded error. */
  async open(call: Call = {}): Promise<Epoch> {
    const { clock } = this.#parts.roads.settings.platform;
    const what = "Connecting to the broker";
    demandTime(call, clock, what);
    return this.#epoch ?? await within(this.#attempt(), call, clock, what);
  }

  /** Keeps the link up until `dispose`: it is opened, and opened again after each loss. */
  hold(): Disposable {
    this.#holders++;
    this.#keep();
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--this.#holders === 0) this.#keeping?.abort();
      },
    };
  }

  /** The next live connection, however long that takes; for those who hold the link. */
  up(): Promise<Epoch> {
    if (this.#epoch !== undefined) return Promise.resolve(this.#epoch);
    this.#waiting ??= deferred();
    return this.#waiting.promise;
  }

  /** Says goodbye, and waits for the answer while the call lasts. Who holds it still gets another connection, unless that was the last. */
  async close(call: Call, last = false): Promise<void> {
    this.#over = last;
    this.#session++;
    this.#opening = undefined;
    this.#keeping?.abort();
    this.#failures = 0;
    const epoch = this.#epoch;
    this.#epoch = undefined;
    if (epoch !== undefined) {
      // What is written is on its way; nothing new may be written to a connection that says goodbye.
      if (epoch.lost === undefined) epoch.out.flush();
      for (const listener of this.#lossListeners) listener(epoch);
      if (epoch.blocked !== undefined) this.#parts.emit({ is: "unblocked" });
      await epoch.close(call);
    }
    if (this.#holders > 0) this.#keep();
  }

  #attempt(): Promise<Epoch> {
    const session = this.#session;
    this.#opening ??= this.#round(session).finally(() => {
      if (this.#session === session) this.#opening = undefined;
    });
    return this.#opening;
  }

  async #round(session: number): Promise<Epoch> {
    const { roads, emit, kind } = this.#parts;
    const closed = (): ConnectionError =>
      new ConnectionError(CLOSED_BY_US, "The broker was closed while it connected.");
    let epoch: Epoch;
    try {
      epoch = await connect(roads, kind, {
        blocked: (reason) => emit({ is: "blocked", reason }),
        unblocked: () => emit({ is: "unblocked" }),
        beat: (target, seconds, out, end) =>
          new Heartbeat(
            roads.settings.platform.clock,
            seconds * 1000,
            () => out.append(HEARTBEAT),
            () => end(silence(target, seconds)),
          ),
      });
    } catch (error) {
      throw this.#session === session ? error : closed();
    }
    if (this.#session !== session) {
      await epoch.close({ deadline: 0 });
      throw closed();
    }
    this.#stand(epoch);
    return epoch;
  }

  #stand(epoch: Epoch): void {
    this.#epoch = epoch;
    // Nobody asks the publishing one how it is: its publishes say.
    const pulse = this.kind === "consume" ? pulseOf(epoch) : undefined;
    epoch.onLost((error) => {
      pulse?.[Symbol.dispose]();
      if (this.#epoch !== epoch) return;
      this.#epoch = undefined;
      const { clock } = this.#parts.roads.settings.platform;
      this.#failures = clock.now() - epoch.openedAt >= GOOD_LIFE ? 1 : this.#failures + 1;
      for (const listener of this.#lossListeners) listener(epoch);
      if (epoch.blocked !== undefined) this.#parts.emit({ is: "unblocked" });
      if (this.#holders > 0) this.#keep(error);
      else this.#down(error, undefined);
    });
    this.#parts.emit({ is: "up", link: this.kind });
    this.#waiting?.resolve(epoch);
    this.#waiting = undefined;
  }

  #down(error: unknown, retryIn: number | undefined): void {
    this.#parts.emit({ is: "down", link: this.kind, error: asError(error), retryIn });
  }

  /** Reconnects until it stands; `lost` is why it must. */
  #keep(lost?: ConnectionError): void {
    if (this.#over || this.#keeping !== undefined || this.#epoch !== undefined) return;
    const keeping = new AbortController();
    this.#keeping = keeping;
    const { clock, random } = this.#parts.roads.settings.platform;
    const pause = async (error: unknown): Promise<void> => {
      const retryIn = backoffDelay(this.#failures, this.#parts.roads.settings.reconnect, random);
      this.#down(error, retryIn);
      await sleep(retryIn, clock, keeping.signal);
    };
    const run = async (): Promise<void> => {
      if (lost !== undefined) await pause(lost);
      while (!keeping.signal.aborted && this.#epoch === undefined) {
        try {
          await this.#attempt();
        } catch (error) {
          if (keeping.signal.aborted) break;
          this.#failures++;
          await pause(error);
        }
      }
    };
    void run().finally(() => {
      if (this.#keeping === keeping) this.#keeping = undefined;
      // Lost, or held again, between the last look and here.
      if (this.#holders > 0 && this.#epoch === undefined) this.#keep();
    });
  }
}

function asError(error: unknown): Error {
  return error instanceof CeleriacError || error instanceof Error ? error : new Error(String(error));
}
