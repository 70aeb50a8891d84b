/**
 * Messages that end their worker: counted where they begin, and taken out of the way after some times (celery#9082 goes round for ever).
 *
 * @module
 */
import type { TaskRules } from "../app/task-rules.ts";
import type { Facts } from "../backend.ts";
import { CeleriacError } from "../errors.ts";
import type { Env } from "./env.ts";
import { inTime } from "./in-time.ts";
import { exceptionRepr } from "./lines.ts";
import { failed, type Outcome } from "./outcome.ts";
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
  /** Whether it was told that the backend does not answer. */
  #told = false;

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
    await this.#count(request);
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

  /** That it came to no end says nothing against it: this start counts no more, those before it do. */
  async takeBack(request: Request): Promise<void> {
    if (!request.isCounted) return;
    request.isCounted = false;
    const key = keyOf(request);
    const less = (count: number): number => Math.max(0, count - 1);
    const own = this.#own.get(key);
    if (own !== undefined) this.#own.set(key, less(own));
    const facts = this.#facts;
    if (facts === undefined) return;
    try {
      await facts.put(key, String(less(countIn(await facts.get(key)))), { ttl: KEPT });
    } catch {
      // It counts, then.
    }
  }

  #limitOf({ maxDeliveries }: TaskRules): number | null {
    return maxDeliveries === undefined ? this.#env.settings.taskMaxDeliveries : maxDeliveries;
  }

  /** Neither the first delivery nor this one is in the count. Nobody else counts while the message is here. */
  async #earlier(request: Request): Promise<number> {
    return request.earlier ??= 1 + await this.#known(keyOf(request), request);
  }

  async #known(key: string, request: Request): Promise<number> {
    const { delivery } = request;
    const facts = this.#facts;
    if (facts !== undefined) return countIn(await this.#ask(request, facts.get(key)));
    // What the broker counts are deliveries, whether they began or not.
    return Math.max(this.#own.get(key) ?? 0, (delivery.attempts ?? 1) - 1);
  }

  async #count(request: Request): Promise<void> {
    const key = keyOf(request);
    const facts = this.#facts;
    if (facts !== undefined) return void await this.#ask(request, facts.bump(key, { ttl: KEPT }));
    const count = (this.#own.get(key) ?? 0) + 1;
    this.#own.delete(key);
    this.#own.set(key, count);
    if (this.#own.size > REMEMBERED) this.#own.delete(this.#own.keys().next().value as string);
  }

  /** The answer; undefined from a backend in trouble, which is told once, until it answers again. The task runs: a count is no lock. */
  async #ask<T>({ about, label }: Request, asked: Promise<T>): Promise<T | undefined> {
    try {
      const answer = await inTime(this.#env.clock, asked);
      this.#told = false;
      return answer;
    } catch (error) {
      if (this.#told) return undefined;
      this.#told = true;
      const reason = exceptionRepr(failed(error).exception);
      const line = `Couldn't ask how often task ${label} began: ${reason}. It runs, as others do.`;
      this.#env.logger.log("warning", line, { ...about, code: "starts-unchecked", error });
      return undefined;
    }
  }

  get #facts(): Facts | undefined {
    return this.#env.backend?.facts ?? undefined;
  }
}

function countIn(text: string | undefined): number {
  const count = Number(text ?? 0);
  return Number.isSafeInteger(count) ? count : 0;
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
