/**
 * Messages that end their worker: counted where they begin, and taken out of the way after some times (celery#9082 goes round for ever).
 *
 * @module
 */
import type { TaskRules } from "../app/task-rules.ts";
import type { Facts } from "../backend.ts";
import { CeleriacError } from "../errors.ts";
import type { Env } from "./env.ts";
import type { Outcome } from "./outcome.ts";
import type { Request } from "./request.ts";

/** How long a count outlives the last start that it counted, ms: a week. */
const KEPT = 604_800_000;

/** How many counts a worker keeps itself, where there is no backend to keep them. */
const REMEMBERED = 10_000;

/** What one worker knows of starts that came to no end. */
export class Starts {
  readonly #env: Env;
  /** Without a backend: it knows of lost links only, since it dies with the worker. */
  readonly #own = new Map<string, number>();

  constructor(env: Env) {
    this.#env = env;
  }

  /** Whether its starts are counted: it was handed out before, and only under late ack does a message come again that has begun. */
  counts({ acksLate, delivery, task: { rules } }: Request): boolean {
    return acksLate && delivery.redelivered && this.#limitOf(rules) !== null;
  }

  /** Whether it has begun twice and came to no end, and may still begin. */
  async isSuspect(request: Request): Promise<boolean> {
    const earlier = await this.#earlier(request);
    return earlier > 1 && earlier < (this.#limitOf(request.task.rules) ?? Infinity);
  }

  /**
   * Counts the start of a message that was handed out before. Resolves with its deliveries where they were too many, and it must not run.
   * `halted` is asked last: what does not begin after all does not count.
   */
  async examine(request: Request, halted: () => boolean = () => false): Promise<number | undefined> {
    if (!this.counts(request)) return undefined;
    const earlier = await this.#earlier(request);
    if (earlier >= (this.#limitOf(request.task.rules) ?? Infinity)) return earlier;
    if (halted()) return undefined;
    await this.#count(keyOf(request));
    request.isCounted = true;
    return undefined;
  }

  /** It came to its end, though its settlement was lost with its link: what comes again is no poison. */
  async forget(request: Request): Promise<void> {
    if (!request.isCounted) return;
    const key = keyOf(request);
    this.#own.delete(key);
    await this.#facts?.put(key, "0", { ttl: KEPT }).catch(() => false);
  }

  #limitOf({ maxDeliveries }: TaskRules): number | null {
    return maxDeliveries === undefined ? this.#env.settings.taskMaxDeliveries : maxDeliveries;
  }

  /** Neither the first delivery nor this one is in the count. Nobody else counts while the message is here. */
  async #earlier(request: Request): Promise<number> {
    return request.earlier ??= 1 + await this.#known(keyOf(request), request);
  }

  async #known(key: string, { delivery }: Request): Promise<number> {
    const facts = this.#facts;
    if (facts !== undefined) {
      const count = Number(await facts.get(key).catch(() => undefined) ?? 0);
      return Number.isSafeInteger(count) ? count : 0;
    }
    // What the broker counts are deliveries, whether they began or not.
    return Math.max(this.#own.get(key) ?? 0, (delivery.attempts ?? 1) - 1);
  }

  async #count(key: string): Promise<void> {
    const facts = this.#facts;
    if (facts !== undefined) return void await facts.bump(key, { ttl: KEPT }).catch(() => 0);
    const count = (this.#own.get(key) ?? 0) + 1;
    this.#own.delete(key);
    this.#own.set(key, count);
    if (this.#own.size > REMEMBERED) this.#own.delete(this.#own.keys().next().value as string);
  }

  get #facts(): Facts | undefined {
    return this.#env.backend?.facts ?? undefined;
  }
}

function keyOf({ message }: Request): string {
  return `starts:${message.id}:${message.retries}`;
}

/** Whether the task ended so. */
export function isPoison(outcome: Outcome): boolean {
  return outcome.is === "failure" && (outcome.error as Partial<CeleriacError> | null)?.code === LIMIT;
}

const LIMIT = "delivery-limit";

/** How a task ends that was delivered too often. */
export function poisoned({ label }: Request, deliveries: number): CeleriacError {
  const text = `${label} was delivered ${deliveries} times and came to no end; it is not run again.`;
  return Object.assign(new CeleriacError("delivery-limit", text), { name: "DeliveryLimitExceeded" });
}
