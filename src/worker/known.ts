/**
 * Tasks whose success is known: they are not run a second time (Celery: `worker_deduplicate_successful_tasks`).
 *
 * @module
 */
import { decodeResult } from "../protocol/result.ts";
import type { Env } from "./env.ts";
import { inTime } from "./in-time.ts";
import type { Request } from "./request.ts";

/** As many, and for so long (ms), as Celery keeps in memory. */
const MOST = 1000;
const KEPT = 10_800_000;

/** What is known of a task that has succeeded. */
export interface KnownSuccess {
  readonly value: unknown;
  /** The ids of the tasks that it had sent by then. */
  readonly children: ReadonlySet<string>;
}

/** The successes that one worker knows of. */
export class Successes {
  readonly #env: Env;
  readonly #own = new Map<string, { readonly at: number; readonly known: KnownSuccess }>();

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
  add({ acksLate, children, message: { id }, outcome }: Request): void {
    if (this.#env.settings.workerDeduplicateSuccessfulTasks === false || !acksLate) return;
    if (outcome?.is !== "success") return;
    this.#own.delete(id);
    this.#own.set(id, {
      at: this.#env.now(),
      known: { value: outcome.value, children: idsIn(children) },
    });
    if (this.#own.size > MOST) this.#own.delete(this.#own.keys().next().value as string);
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
