/**
 * Whether a worker would get a message that waits for it now, and why not.
 *
 * @module
 */
import type { BrokerEvent, Consumer } from "../broker.ts";
import { CeleriacError } from "../errors.ts";
import type { Clock } from "../lib/port.ts";

/**
 * What a worker is at. `starting`: it has not consumed yet. `consuming`: a message that waits would come. `down`: it would not, from some
 * queue at least. `stopping`: it takes nothing new and finishes what runs.
 */
export type WorkerPhase = "new" | "starting" | "consuming" | "down" | "stopping" | "stopped";

/** Why a worker is not as it should be. */
export interface HealthReason {
  /** As in `docs/errors.md`. */
  readonly code: string;
  /** One sentence, without secrets. */
  readonly message: string;
}

/** What `worker.health()` tells. */
export interface WorkerHealth {
  /** What it is at. */
  readonly state: WorkerPhase;
  /** Whether a message that waits would come: `state` is "consuming". */
  readonly healthy: boolean;
  /**
   * The last moment, ms since the epoch, at which a waiting message of each queue would have reached it; undefined before the first. On
   * AMQP that is when something came over a link on which all queues are consumed, and a link at rest is asked every 5 s; on Redis it is
   * the answer to the last claim.
   */
  readonly aliveAt: number | undefined;
  /** Why it is not healthy; or what else is wrong, such as a broker that takes no publishes. Empty where nothing is. */
  readonly reasons: readonly HealthReason[];
}

/** What is known at one moment. */
export interface HealthFacts {
  /** What it is meant to do. */
  readonly phase: "new" | "running" | "stopping" | "stopped";
  /** 0: it never consumed. */
  readonly aliveAt: number;
  /** The last loss of the link or of a queue, and when. */
  readonly trouble: { readonly at: number; readonly reason: HealthReason } | undefined;
  /** Why the broker takes no publishes; undefined where it does. */
  readonly blocked: string | undefined;
  /** Tasks whose retries the broker does not take. */
  readonly unsent: number;
  /** How long it is healthy without a sign, ms. */
  readonly patience: number;
  readonly now: number;
}

/** The verdict. Pure. */
export function judgeHealth(facts: HealthFacts): WorkerHealth {
  const { aliveAt, blocked, now, patience, phase, trouble } = facts;
  const silent = now - aliveAt;
  const lost = trouble !== undefined && trouble.at >= aliveAt;
  const state = phase !== "running"
    ? phase
    : aliveAt === 0
    ? "starting"
    : lost || silent > patience
    ? "down"
    : "consuming";
  const reasons: HealthReason[] = [];
  if (phase === "running") {
    if (lost) reasons.push(trouble.reason);
    else if (state === "down") {
      const message = `No message could have come for ${Math.round(silent / 1000)} s.`;
      reasons.push({ code: "worker-silent", message });
    }
  }
  if (blocked !== undefined) {
    reasons.push({ code: "broker-blocked", message: `The broker takes no publishes: ${blocked}.` });
  }
  if (facts.unsent > 0) {
    const message = `The broker does not take the retries of ${facts.unsent} tasks, which are sent again.`;
    reasons.push({ code: "retry-unsent", message });
  }
  return {
    state,
    healthy: state === "consuming",
    aliveAt: aliveAt === 0 ? undefined : aliveAt,
    reasons,
  };
}

/** Gathers the facts of one worker. */
export class Health {
  readonly #clock: Clock;
  readonly #patience: number;
  readonly #unsent: () => number;
  #phase: HealthFacts["phase"] = "new";
  #consumer: Pick<Consumer, "aliveAt"> | undefined;
  #trouble: HealthFacts["trouble"];
  #blocked: string | undefined;

  /** `patience` in ms; `unsent` is asked how many retries the broker does not take. */
  constructor(clock: Clock, patience: number, unsent: () => number) {
    this.#clock = clock;
    this.#unsent = unsent;
    this.#patience = patience;
  }

  /** It has come this far. */
  enter(phase: HealthFacts["phase"]): void {
    this.#phase = phase;
  }

  /** This is what brings messages. */
  watch(consumer: Pick<Consumer, "aliveAt">): void {
    this.#consumer = consumer;
  }

  /** News of the link. */
  heed(event: BrokerEvent): void {
    if (event.is === "blocked") this.#blocked = event.reason;
    else if (event.is === "unblocked") this.#blocked = undefined;
    else if (event.is === "fatal") this.failed(event.error);
    else if (event.is === "down" && event.link === "consume") this.failed(event.error);
  }

  /** An attempt failed, or what stood is lost. */
  failed(error: Error): void {
    const code = error instanceof CeleriacError ? error.code : "broker-lost";
    this.#trouble = { at: this.#clock.now(), reason: { code, message: error.message } };
  }

  /** Now. */
  look(): WorkerHealth {
    return judgeHealth({
      phase: this.#phase,
      aliveAt: this.#consumer?.aliveAt ?? 0,
      trouble: this.#trouble,
      blocked: this.#blocked,
      unsent: this.#unsent(),
      patience: this.#patience,
      now: this.#clock.now(),
    });
  }
}
