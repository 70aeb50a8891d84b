/**
 * The harness: an app with its workers on the fake pair, in a time of its own, for one test.
 *
 * @module
 */
import type { Celery } from "../../app/app.ts";
import { innerOf } from "../../app/inner.ts";
import { type Duration, toMs } from "../../lib/duration.ts";
import type { StopOptions } from "../../worker/shutdown.ts";
import type { WorkerOptions } from "../../worker/worker.ts";
import { AssertionError } from "../assert.ts";
import { check, type CheckOptions, flaws, type Report } from "../check.ts";
import type { Faults } from "../faults/faults.ts";
import { UNTIL_IDLE, untilInstant } from "../simulator/driver.ts";
import { closeLab } from "./closing.ts";
import type { DrainReport, Harness, HarnessWorker } from "./contract.ts";
import { demandFound, demandNone, sought } from "./enqueued.ts";
import { Lab } from "./lab.ts";
import type { Match } from "./match.ts";
import { type Outcome, outcomeOf, type Sightings } from "./outcome.ts";
import { type HarnessOptions, instantOf, settle } from "./options.ts";
import type { Enqueued } from "./sent.ts";
import type { Staff } from "./staff.ts";
import { type Call, demandNoSuccess, demandSucceeded } from "./succeeded.ts";

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
