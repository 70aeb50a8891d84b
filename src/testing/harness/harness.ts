/**
 * The harness: an app with its workers on the fake pair, in a time of its own, for one test.
 *
 * @module
 */
import type { Celery } from "../../app/app.ts";
import { innerOf } from "../../app/inner.ts";
import { type Duration, toMs } from "../../lib/duration.ts";
import type { Task, TaskArgs, TaskFunction } from "../../producer/task.ts";
import type { AsyncResult } from "../../result/async-result.ts";
import type { RevokeOptions } from "../../worker/revoke.ts";
import type { StopOptions } from "../../worker/shutdown.ts";
import type { WorkerOptions } from "../../worker/worker.ts";
import { AssertionError } from "../assert.ts";
import { check, type CheckOptions, flaws, type Report } from "../check.ts";
import type { Faults } from "../faults/faults.ts";
import { UNTIL_IDLE, untilInstant } from "../simulator/driver.ts";
import { demandFound, demandNone, sought } from "./enqueued.ts";
import { Lab } from "./lab.ts";
import { closeLab } from "./closing.ts";
import type { Match } from "./match.ts";
import { type Outcome, outcomeOf, type Sightings } from "./outcome.ts";
import { type HarnessOptions, instantOf, settle } from "./options.ts";
import type { Enqueued } from "./sent.ts";
import type { Staff } from "./staff.ts";
import { type Call, demandNoSuccess, demandSucceeded } from "./succeeded.ts";

/** A worker of a harness. */
export interface HarnessWorker {
  /** Its name, which is its host's: "worker-1". */
  readonly name: string;
  /** Its node name, "celery@worker-1". */
  readonly hostname: string;
  /** The queues that it takes from. */
  readonly queues: readonly string[];
  /** Whether it runs. */
  readonly running: boolean;
  /** Stops it as SIGTERM does, unless it is told how: what runs ends, what has not begun goes back to its queue. */
  stop(options?: StopOptions): Promise<void>;
  /** Revokes tasks at this worker; see `Worker.revoke`. Gives the ids that were terminated. */
  revoke(ids: string | readonly string[], options?: RevokeOptions): Promise<readonly string[]>;
}

/** What `drain` did. */
export interface DrainReport {
  /** Tasks that ran. */
  readonly ran: number;
  /** Messages that still lie in queues, since no worker takes from them, by the queue's name. */
  readonly left: Readonly<Record<string, number>>;
}

/**
 * A test's own system: an app, its workers, a broker and a result store, all in this thread and in a time of its own. Made by
 * {@link createHarness}.
 *
 * **Time** stands still unless it is moved. What can happen at once happens by itself, while the test awaits something: a task that is sent
 * is delivered, run, stored, and its result read. What waits for a moment to come (an ETA, a countdown, a retry, a timeout) waits for
 * `advance`, `advanceTo`, `runUntilIdle` or `drain({ withScheduled: true })`; within `run` time moves as far as the callback needs it.
 * Wherever time moves, what is due on the way happens at its own instant.
 *
 * Only the app's own time is virtual: `Date` and `setTimeout` of a task's body are real. A task that waits for something real is waited
 * for, and time stands still meanwhile; after `patience` it is an error that names the task ("simulation-impatient"), unless the task has a
 * `timeLimit` or `softTimeLimit`: then time moves on, to that.
 */
export interface Harness extends AsyncDisposable {
  /** The app on the fake pair; whatever is sent by it goes to this harness. */
  readonly app: Celery;
  /** The time in it. */
  readonly now: Date;
  /** The line by which the same is seen again: seed and picks. */
  readonly replay: string;
  /** Starts one more worker, and resolves when it would get messages. @default the options of the first ones */
  worker(options?: WorkerOptions): Promise<HarnessWorker>;
  /** The workers that were started, those that have ended among them. */
  readonly workers: readonly HarnessWorker[];
  /**
   * All tasks that were enqueued, oldest first; those that the broker refused or could not route are none. Where none is found, and the
   * harness records nothing or has forgotten some (`record`), this throws "history-incomplete"; `refuteEnqueued`, `refuteSucceeded` of a
   * task and `check` do so too.
   */
  enqueued(): readonly Enqueued[];
  /** Those of a task, and like `match`. */
  enqueued<F extends TaskFunction>(
    task: Task<string, F>,
    match?: Match<TaskArgs<F>>,
  ): readonly Enqueued<TaskArgs<F>>[];
  /** Those of a name, and like `match`. */
  enqueued(task: string, match?: Match): readonly Enqueued[];
  /**
   * Throws `AssertionError` unless the task was enqueued, with what `match` says: what was enqueued, which is nearest, and what is different
   * about it. Gives the first that is as it should be.
   */
  assertEnqueued<F extends TaskFunction>(
    task: Task<string, F>,
    match?: Match<TaskArgs<F>>,
  ): Enqueued<TaskArgs<F>>;
  /** As above, by name. */
  assertEnqueued(task: string, match?: Match): Enqueued;
  /** Throws `AssertionError` where the task was enqueued with what `match` says. */
  refuteEnqueued<F extends TaskFunction>(task: Task<string, F>, match?: Match<TaskArgs<F>>): void;
  /** As above, by name. */
  refuteEnqueued(task: string, match?: Match): void;
  /** What became of a task: its state, its runs, how often it was delivered, and all that was seen of it. */
  outcome<R>(of: AsyncResult<R>): Promise<Outcome<R>>;
  /** As above, by the id of the call. */
  outcome(id: string): Promise<Outcome>;
  /**
   * What can be made to go wrong: links cut, workers killed at a named point, confirms lost, clocks set wrong. A node is "client", or a
   * worker's name. With `record: false` there is none to be struck ("fault-node").
   */
  readonly fault: Faults;
  /**
   * Judges what has happened. Throws `AssertionError` where a confirmed task was lost, one ran that nobody sent, one ran again for no reason
   * that is written down, or a rule did not hold; gives the report where all is well. To be asked when the work is over: what a worker still
   * holds counts as never settled.
   */
  check(options?: CheckOptions): Report;
  /** All that was seen to happen, in order, to client and workers. */
  readonly history: Sightings;
  /**
   * Throws `AssertionError` unless SUCCESS is stored of the call, or of one call of the task: what is stored instead, of each call. A text is
   * the id of a call.
   */
  assertSucceeded<F extends TaskFunction>(task: Task<string, F>): void;
  /** As above, of one call: by its result, by what was enqueued, or by its id. */
  assertSucceeded(call: string | { readonly id: string }): void;
  /** Throws `AssertionError` where SUCCESS is stored of the call, or of one call of the task. */
  refuteSucceeded<F extends TaskFunction>(task: Task<string, F>): void;
  /** As above, of one call. */
  refuteSucceeded(call: string | { readonly id: string }): void;
  /**
   * Runs the callback with this harness as the sender of all that it sends, and lets happen what it needs until its promise settles; time
   * moves where it waits for a result. Throws "harness-stuck" where it waits for what will never come, "simulation-impatient" where it waits
   * for something outside for longer than `patience`.
   */
  run<R>(callback: () => R | Promise<R>): Promise<R>;
  /**
   * Runs what is in the queues, and what that leads to; time stands still, or with `withScheduled` moves until nothing is left to be done.
   * Where no worker runs, one is started for it.
   */
  drain(options?: { readonly withScheduled?: boolean }): Promise<DrainReport>;
  /** Moves time on; a number is seconds. */
  advance(by: Duration): Promise<void>;
  /** Moves time to this instant: a `Date`, or ISO text. In the past it moves nothing. */
  advanceTo(instant: Date | string): Promise<void>;
  /** Moves time until nothing is left to be done: no task waits, in a queue or for its time. */
  runUntilIdle(): Promise<void>;
  /**
   * Stops the workers and ends the test. Throws `AssertionError` for what was left behind: sends that nobody awaited, deliveries that were
   * never settled, timers, tasks that still run. Where a failure was told before, it throws nothing more.
   */
  [Symbol.asyncDispose](): Promise<void>;
}

class LabHarness implements Harness {
  readonly #lab: Lab;
  #closing: Promise<void> | undefined;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  get app(): Celery {
    return this.#lab.app;
  }

  get now(): Date {
    return new Date(this.#lab.simulator.now);
  }

  get replay(): string {
    return this.#lab.replay;
  }

  get workers(): readonly HarnessWorker[] {
    return this.#lab.staff.map((staff) => this.#worker(staff));
  }

  async worker(options: WorkerOptions = {}): Promise<HarnessWorker> {
    const staff = this.#lab.hire(options);
    await this.#lab.start(staff);
    return this.#worker(staff);
  }

  enqueued<A extends readonly unknown[]>(
    task?: string | { readonly name: string },
    match: Match<A> = {},
  ): readonly Enqueued<A>[] {
    const name = typeof task === "object" ? task.name : task;
    return sought(this.#lab.bag, name, match) as readonly Enqueued<A>[];
  }

  assertEnqueued<A extends readonly unknown[]>(
    task: string | { readonly name: string },
    match: Match<A> = {},
  ): Enqueued<A> {
    const { bag, replay } = this.#lab;
    return this.#asserting(() => demandFound(bag, nameOf(task), match, replay)) as Enqueued<A>;
  }

  refuteEnqueued<A extends readonly unknown[]>(
    task: string | { readonly name: string },
    match: Match<A> = {},
  ): void {
    const { bag, replay } = this.#lab;
    this.#asserting(() => demandNone(bag, nameOf(task), match, replay));
  }

  assertSucceeded(call: Call): void {
    this.#asserting(() => demandSucceeded(this.#lab, call));
  }

  refuteSucceeded(call: Call): void {
    this.#asserting(() => demandNoSuccess(this.#lab, call));
  }

  get fault(): Faults {
    return this.#lab.faults;
  }

  check(options: CheckOptions = {}): Report {
    const { history, replay } = this.#lab;
    const report = this.#asserting(() => check(history, options));
    if (report.ok) return report;
    return this.#asserting(() => {
      throw new AssertionError([...flaws(report), replay].join("\n"), { actual: report });
    });
  }

  get history(): Sightings {
    return this.#lab.history;
  }

  async outcome(of: string | { readonly id: string }): Promise<Outcome<never>> {
    const { history, inner, simulator } = this.#lab;
    const id = typeof of === "string" ? of : of.id;
    return outcomeOf(id, inner, simulator.store.get(id), history);
  }

  run<R>(callback: () => R | Promise<R>): Promise<R> {
    return this.#lab.until("The callback of run()", async () => await callback());
  }

  async drain({ withScheduled = false }: { readonly withScheduled?: boolean } = {}): Promise<DrainReport> {
    const lab = this.#lab;
    const before = ranBy(lab.staff);
    const idle = lab.staff.every(({ lives }) => !lives);
    const staff = idle ? lab.hire({}, `drain-${lab.staff.length + 1}`) : undefined;
    if (staff !== undefined) await lab.start(staff);
    await lab.drive(withScheduled ? lab.simulator.drive(UNTIL_IDLE) : lab.simulator.settle());
    if (staff !== undefined) await this.#stop(staff);
    const left = lab.simulator.world.queues.filter(({ ready }) => ready > 0);
    return {
      ran: ranBy(lab.staff) - before,
      left: Object.fromEntries(left.map(({ name, ready }) => [name, ready])),
    };
  }

  async advance(by: Duration): Promise<void> {
    const { simulator } = this.#lab;
    await this.#lab.drive(simulator.drive(untilInstant(simulator.now + toMs(by, "by"))));
  }

  async advanceTo(instant: Date | string): Promise<void> {
    await this.#lab.drive(this.#lab.simulator.drive(untilInstant(instantOf(instant, "instant"))));
  }

  runUntilIdle(): Promise<void> {
    return this.#lab.drive(this.#lab.simulator.drive(UNTIL_IDLE));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= closeLab(this.#lab);
  }

  #asserting<R>(look: () => R): R {
    try {
      return look();
    } catch (error) {
      this.#lab.failed = true;
      throw error;
    }
  }

  #stop(staff: Staff, options?: StopOptions): Promise<void> {
    return this.#lab.until(`The stop of ${staff.node.name}`, async () => {
      await staff.worker.stop(options);
      // What it gave back is still on its way.
      await this.#lab.simulator.settle();
    }, [staff]);
  }

  #worker(staff: Staff): HarnessWorker {
    return {
      name: staff.node.name,
      hostname: staff.worker.hostname,
      queues: staff.worker.queues,
      get running() {
        return staff.lives;
      },
      stop: (options) => this.#stop(staff, options),
      revoke: (ids, options) =>
        this.#lab.until(`The revoke at ${staff.node.name}`, () => staff.worker.revoke(ids, options)),
    };
  }
}

function nameOf(task: string | { readonly name: string }): string {
  return typeof task === "string" ? task : task.name;
}

function ranBy(staff: readonly Staff[]): number {
  let ran = 0;
  for (const { worker } of staff) for (const count of worker.snapshot().totals.values()) ran += count;
  return ran;
}

/**
 * Makes a harness for one test: the app's tasks on real workers, a broker and a result store in memory, with real messages, in a time of
 * its own that the test moves. Nothing global is changed: two harnesses do not see each other, and tests may run side by side.
 *
 * In the test's own code plain `task.delay(…)` and `await result.get()` go to the harness too, through the async context, where the runtime
 * can enter one (Node, Bun, Deno; call it in the test itself); else to the only harness of the app that lives. Two at a time without a way
 * to tell them apart are an error ("harness-ambiguous", without an async context at all "harness-second"), never a mixture: `harness.app`
 * and `harness.run` always say which.
 *
 * Throws `ConfigurationError` "app-invalid", "two-copies", "option-unknown", "option-invalid", "duration-invalid", "harness-second".
 *
 * @example
 * ```ts
 * import { Celery } from "celeriac";
 * import { createHarness } from "celeriac/testing";
 *
 * const app = new Celery("shop");
 * const mail = app.task("mail.send", { params: ["to"] }, (to: string): string => `sent to ${to}`);
 *
 * await using harness = await createHarness(app);
 * const result = await mail.applyAsync(["a@b.c"], { countdown: 3600 });
 * harness.assertEnqueued(mail, { args: ["a@b.c"], countdown: "1h" });
 * await harness.advance("1h");
 * console.log(await result.get()); // sent to a@b.c
 * ```
 */
export async function createHarness(app: Celery, options: HarnessOptions = {}): Promise<Harness> {
  innerOf(app);
  const settled = settle(options);
  // Before the first await: the caller's own async context is entered.
  const lab = new Lab(app, settled);
  try {
    const staff = Array.from({ length: settled.workers }, () => lab.hire({}));
    for (const one of staff) one.start();
    await lab.drive(lab.simulator.settle());
    const broken = staff.find(({ failure }) => failure !== undefined);
    if (broken !== undefined) throw broken.failure;
    return new LabHarness(lab);
  } catch (error) {
    lab.close();
    throw error;
  }
}
