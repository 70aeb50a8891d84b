/**
 * What a worker is doing now and has done so far.
 *
 * @module
 */
import type { Request } from "./request.ts";
import type { UnstoredResults } from "./results.ts";

/** A task that a worker has in hand. */
export interface TaskInHand {
  /** The task's id. */
  readonly id: string;
  /** The name that it is registered by. */
  readonly name: string;
}

/** What a worker is doing at one moment, and has done so far. */
export interface WorkerSnapshot {
  /** Received and not yet run: waiting for a slot or for their ETA. */
  readonly reserved: readonly TaskInHand[];
  /** Running. */
  readonly active: readonly TaskInHand[];
  /** Has run; its result is being stored, what follows it sent, its message settled. */
  readonly concluding: readonly TaskInHand[];
  /** How many runs ended, by the task's name. */
  readonly totals: ReadonlyMap<string, number>;
  /** The ids that are revoked, as far as this worker heard of it, oldest first. */
  readonly revoked: readonly string[];
  /** Results that could not be stored. */
  readonly unstored: UnstoredResults;
}

/** Who waits for something to hold. */
interface Waiter {
  holds(): boolean;
  resolve(): void;
}

/** The state of one worker (celery/worker/state.py). */
export class WorkerState {
  readonly #reserved = new Set<Request>();
  readonly #active = new Set<Request>();
  readonly #concluding = new Set<Request>();
  #last: Request | undefined;
  readonly #insisting = new Set<Request>();
  readonly #totals = new Map<string, number>();
  readonly #waiting = new Set<Waiter>();
  /** Called when there is room for another task though none has ended. */
  onRoom: () => void = () => {};

  /** Those that run. */
  get active(): Iterable<Request> {
    return this.#active;
  }

  /** Whether one runs. */
  get isRunning(): boolean {
    return this.#active.size > 0;
  }

  /** Those that have run and are not settled. */
  get ended(): Iterable<Request> {
    return this.#concluding;
  }

  /** How many have run and are not settled, but for those that insist on their retry. */
  get concluding(): number {
    return this.#concluding.size - this.#insisting.size;
  }

  /** How many send their retry again and again. */
  get insisting(): number {
    return this.#insisting.size;
  }

  /** Its retry could not be sent, and is sent again until it is there: the next tasks do not wait for that. */
  insist(request: Request): void {
    if (!this.#concluding.has(request) || this.#insisting.has(request)) return;
    this.#insisting.add(request);
    this.onRoom();
  }

  snapshot(): Omit<WorkerSnapshot, "revoked" | "unstored"> {
    return {
      reserved: [...this.#reserved].map(inHand),
      active: [...this.#active].map(inHand),
      concluding: [...this.#concluding].map(inHand),
      totals: new Map(this.#totals),
    };
  }

  /** The task whose run ended last. */
  get last(): Request | undefined {
    return this.#last;
  }

  reserve(request: Request): void {
    this.#reserved.add(request);
  }

  activate(request: Request): void {
    this.#reserved.delete(request);
    this.#active.add(request);
  }

  /** The request will not run here. */
  drop(request: Request): void {
    this.#reserved.delete(request);
  }

  /** The task has run, or never will; false where that was known. */
  conclude(request: Request): boolean {
    if (!this.#active.delete(request)) return false;
    this.#last = request;
    this.#concluding.add(request);
    this.#tell();
    return true;
  }

  /** Nothing is left to do for it. One that never `ran` was given back, lost with its link, skipped or buried. */
  finish(request: Request, ran: boolean): void {
    this.#over(request);
    if (ran) this.#totals.set(request.task.name, (this.#totals.get(request.task.name) ?? 0) + 1);
    this.#tell();
  }

  /** Nobody waits for it any more. */
  abandon(request: Request): void {
    this.#active.delete(request);
    this.#over(request);
    this.#tell();
  }

  /** Resolves when nothing runs; nothing may be started any more. */
  ran(): Promise<void> {
    return this.#until(() => this.#active.size === 0);
  }

  /** Resolves when nothing runs or concludes; nothing may be started any more. */
  idle(): Promise<void> {
    return this.#until(() => this.#active.size + this.#concluding.size === 0);
  }

  #over(request: Request): void {
    this.#concluding.delete(request);
    this.#insisting.delete(request);
  }

  #until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.add({ holds, resolve }));
  }

  #tell(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.holds()) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}

function inHand({ message, task }: Request): TaskInHand {
  return { id: message.id, name: task.name };
}
