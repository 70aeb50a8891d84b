/**
 * Tasks whose success is known: they are not run a second time (Celery: `worker_deduplicate_successful_tasks`).
 *
 * @module
 */
import { encodeJson } from "../protocol/json-writer.ts";
import { decodeResult } from "../protocol/result.ts";
import type { Env } from "./env.ts";
import { inTime } from "./in-time.ts";
import type { Request } from "./request.ts";

/** As many, and for so long (ms), as Celery keeps in memory. */
const MOST = 1000;
const KEPT = 10_800_000;

/** Characters of their results, as they are stored. */
const HEAVIEST = 32 * 1024 * 1024;

/** What is known of a task that has succeeded. */
export interface KnownSuccess {
  readonly value: unknown;
  /** The ids of the tasks that it had sent by then. */
  readonly children: ReadonlySet<string>;
}

/** The successes that one worker knows of. */
export class Successes {
  readonly #env: Env;
  readonly #own = new Map<
    string,
    { readonly at: number; readonly known: KnownSuccess; readonly weight: number }
  >();
  #weight = 0;

  constructor(env: Env) {
    this.#env = env;
  }

  /** The success of this task, where it comes again and is not to be run again. Without an answer of the backend it runs. */
  async of({ acksLate, delivery, message: { id } }: Request): Promise<KnownSuccess | undefined> {
    const { settings, backend, app: { exact } } = this.#env;
    const asked = settings.workerDeduplicateSuccessfulTasks;
    if (asked === false || !acksLate || (asked === true && !delivery.redelivered)) return undefined;
    const own = this.#own.get(id);
    if (own !== undefined && own.at > this.#env.now() - KEPT) return own.known;
    if (backend === undefined) return undefined;
    try {
      const [record] = await inTime(this.#env.clock, backend.load([id]));
      if (record?.status !== "SUCCESS") return undefined;
      const { result, children } = decodeResult(record.text, { exact, limits: settings.contentLimits });
      return { value: result, children: idsIn(children ?? []) };
    } catch {
      return undefined;
    }
  }

  /** Remembers a success: also one that no backend keeps. */
  add(request: Request): void {
    const { acksLate, children, message: { id }, outcome } = request;
    if (this.#env.settings.workerDeduplicateSuccessfulTasks === false || !acksLate) return;
    if (outcome?.is !== "success") return;
    this.#forget(id);
    const weight = weightOf(request, outcome.value);
    if (weight > HEAVIEST) return;
    this.#weight += weight;
    // What has no JSON form nothing can follow.
    const value = weight === 0 ? undefined : outcome.value;
    this.#own.set(id, { at: this.#env.now(), known: { value, children: idsIn(children) }, weight });
    for (const oldest of this.#own.keys()) {
      if (this.#own.size <= MOST && this.#weight <= HEAVIEST) break;
      this.#forget(oldest);
    }
  }

  #forget(id: string): void {
    this.#weight -= this.#own.get(id)?.weight ?? 0;
    this.#own.delete(id);
  }
}

/** 0 for what has no JSON form. */
function weightOf({ weight }: Request, value: unknown): number {
  if (weight !== undefined) return weight;
  try {
    return encodeJson(value).length;
  } catch {
    return 0;
  }
}

/** The ids in result tuples, `[[id, parent], members]`. */
function idsIn(tuples: readonly unknown[]): Set<string> {
  const ids = new Set<string>();
  for (const tuple of tuples) {
    const [own, members] = Array.isArray(tuple) ? tuple as unknown[] : [];
    const id: unknown = Array.isArray(own) ? own[0] : own;
    if (typeof id === "string") ids.add(id);
    if (Array.isArray(members)) { for (const member of idsIn(members)) ids.add(member); }
  }
  return ids;
}
