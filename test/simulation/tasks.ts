/**
 * The tasks of a simulation.
 *
 * @module
 */
import type { Celery } from "../../src/app/app.ts";
import type { Running } from "../../src/app/running.ts";
import type { Clock } from "../../src/lib/port.ts";

/** How often a task is retried at most. */
export const MOST_RETRIES = 2;

/** At once, held by its next worker, or parked by the broker. */
function waitOf(number: number): `${number}ms` {
  return `${[0, 300, 1500][number % 3] ?? 0}ms`;
}

/** Far more than a run of a plan has of any task: a worker that retries for ever shall not simulate for ever. */
const MOST_RUNS = 40;

function mayRunAgain(runs: Map<number, number>, number: number): boolean {
  const before = runs.get(number) ?? 0;
  runs.set(number, before + 1);
  return before < MOST_RUNS;
}

/** What all workers of a scene remember of its tasks. */
export interface Memory {
  /** The numbers of tasks that succeed only once, and have. */
  readonly done: Set<number>;
  /** How often those that are retried were run. */
  readonly runs: Map<number, number>;
}

/** The tasks; a run takes `takes` ms of its own node's time. */
export function declare(app: Celery, clock: Clock, { done, runs }: Memory): void {
  const body = (fails: boolean) => async (number: number, takes: number): Promise<number> => {
    if (takes > 0) await new Promise<void>((resolve) => void clock.after(takes, resolve));
    if (fails) throw new Error("as planned");
    return number;
  };
  const params = ["number", "takes"] as const;
  const late = { params, acksLate: true } as const;
  const heeds = async (task: Running, number: number, takes: number): Promise<number> => {
    if (takes > 0) {
      await new Promise<void>((resolve) => {
        const timer = clock.after(takes, resolve);
        task.signal.addEventListener("abort", () => {
          timer.cancel();
          resolve();
        });
      });
    }
    task.signal.throwIfAborted();
    return number;
  };
  app.task("early.heeds", { params, bind: true }, heeds);
  app.task("late.heeds", { ...late, bind: true }, heeds);
  app.task("early", { params }, body(false));
  app.task("late", late, body(false));
  app.task("early.fails", { params }, body(true));
  app.task("late.fails", late, body(true));
  app.task("late.rejects", { ...late, acksOnFailureOrTimeout: false }, body(true));
  app.task("late.silent", { ...late, ignoreResult: true }, body(false));
  app.task("late.linked", late, body(false));
  app.task("early.linked", { params }, body(false));
  app.task("late.once", late, async (number: number, takes: number): Promise<number> => {
    if (takes > 0) await new Promise<void>((resolve) => void clock.after(takes, resolve));
    if (done.has(number)) throw new Error("done already");
    done.add(number);
    return number;
  });
  const again = async (task: Running, number: number, takes: number): Promise<number> => {
    if (takes > 0) await new Promise<void>((resolve) => void clock.after(takes, resolve));
    const isDone = task.retries >= 1 + number % MOST_RETRIES || !mayRunAgain(runs, number);
    if (!isDone) throw task.retry({ countdown: waitOf(number) });
    return number;
  };
  const fails = async (number: number, takes: number): Promise<number> =>
    await body(mayRunAgain(runs, number))(number, takes);
  const retried = { maxRetries: MOST_RETRIES, retryBackoff: "200ms", autoretryFor: [Error] } as const;
  app.task("early.retries", { params, bind: true, maxRetries: MOST_RETRIES }, again);
  app.task("late.retries", { ...late, bind: true, maxRetries: MOST_RETRIES }, again);
  app.task("early.autoretries", { params, ...retried }, fails);
  app.task("late.autoretries", { ...late, ...retried }, fails);
  app.task("link", (result: number) => result);
}
