/**
 * Messages that end their worker: counted where they begin, and taken out of the way after some times (celery#9082 goes round for ever).
 *
 * @module
 */
import type { Facts } from "../backend.ts";
import { CeleriacError } from "../errors.ts";
import { deferred } from "../lib/deferred.ts";
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
  /** Resolves when the task that runs under suspicion has ended. */
  #turn: Promise<void> = Promise.resolve();

  constructor(env: Env) {
    this.#env = env;
  }

  /**
   * Counts the start of a message that was handed out before. Resolves with its deliveries where they were too many, and it must not run. A
   * message that has begun twice begins only when no other such message runs here: else the neighbours of one that kills its worker would be
   * counted with it. `gone` is asked after the wait: what has lost its link does not begin, and does not count.
   */
  async examine(request: Request, gone: () => boolean = () => false): Promise<number | undefined> {
    const { rules } = request.task;
    const limit = rules.maxDeliveries === undefined
      ? this.#env.settings.taskMaxDeliveries
      : rules.maxDeliveries;
    if (limit === null || !request.acksLate || !request.delivery.redelivered) return undefined;
    const key = keyOf(request);
    // Neither the first delivery nor this one is in the count.
    const earlier = 1 + await this.#known(key, request);
    if (earlier >= limit) return earlier;
    if (earlier > 1) request.suspicion = await this.#alone();
    if (gone()) return undefined;
    await this.#count(key);
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

  /** Waits for its turn; the next one's comes when this is disposed of. */
  async #alone(): Promise<Disposable> {
    const before = this.#turn;
    const { promise, resolve } = deferred<void>();
    this.#turn = before.then(() => promise);
    await before;
    return { [Symbol.dispose]: () => resolve() };
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
