/**
 * The inside of a harness: one simulation, the client's node, the workers, and what was enqueued.
 *
 * @module
 */
import type { Celery } from "../../app/app.ts";
import { type AppInner, innerOf } from "../../app/inner.ts";
import { CeleriacError } from "../../errors.ts";
import { eventLoop } from "../../lib/platform.ts";
import type { Timer } from "../../lib/port.ts";
import type { WorkerOptions } from "../../worker/worker.ts";
import { type Driver, UntilSettled } from "../simulator/driver.ts";
import type { SimulatedNode } from "../simulator/node.ts";
import { Simulator } from "../simulator/simulator.ts";
import type { PostOffice } from "../simulator/waits.ts";
import type { Member } from "../faults/member.ts";
import { SimulatedFaults } from "../faults/simulated.ts";
import { History } from "../history.ts";
import { standIn, type StandInScope, stepBack } from "../stand-in.ts";
import type { Settled } from "./options.ts";
import { Mailbag, Sent } from "./sent.ts";
import { queuesOf, Staff } from "./staff.ts";

/** What waits without hope is told after this part of the patience: sooner than what may yet end. */
const HOPE = 0.8;

/** The parts of a harness, and what holds them together. */
export class Lab {
  readonly simulator: Simulator;
  readonly options: Settled;
  readonly client: SimulatedNode;
  /** The client's fork. */
  readonly app: Celery;
  readonly bag: Mailbag;
  readonly history: History;
  readonly faults: SimulatedFaults;
  readonly staff: Staff[] = [];
  /** Whether a failure was told already: what it left behind is then no news. */
  failed = false;
  readonly scope: StandInScope;
  readonly #origin: Celery;
  #hope: Timer | undefined;

  constructor(origin: Celery, options: Settled) {
    const { context } = innerOf(origin).platform;
    this.#origin = origin;
    this.options = options;
    const { seed, now, picks, patience, worry } = options;
    this.simulator = new Simulator({ seed, now, picks, patience, worry, context });
    this.simulator.outsiders = () => this.staff.flatMap(({ outsiders }) => outsiders);
    this.simulator.onWorry = (sentence) => options.ownLogger.log("warning", sentence);
    this.simulator.onImpatience = () => this.staff.forEach((each) => each.leave());
    this.simulator.onRest = () => this.#rest();
    this.bag = new Mailbag(options.keep);
    this.history = new History({ clock: { now: () => this.simulator.now }, keep: options.keep });
    this.faults = new SimulatedFaults(this.simulator, this.history);
    ({ node: this.client, app: this.app } = this.#make("client"));
    this.scope = standIn(innerOf(this.app));
    context.enter?.(this.scope);
  }

  get inner(): AppInner {
    return innerOf(this.app);
  }

  /** How the same is seen again. */
  get replay(): string {
    const picks = this.simulator.picks;
    const last = picks.findLastIndex((pick) => pick !== 0);
    const schedule = last < 0 ? "" : `, picks: [${picks.slice(0, last + 1).join(", ")}]`;
    return `Replay: createHarness(app, { seed: ${this.options.seed}${schedule} })`;
  }

  /** Makes a worker; it does not run yet. */
  hire(options: WorkerOptions, name: string = `worker-${this.staff.length + 1}`): Staff {
    const { node, app, member } = this.#make(name);
    const { concurrency } = this.options;
    const staff = new Staff({
      isInside: (where, id) => this.#isInside(where, id),
      node,
      app,
      member,
      options: {
        queues: queuesOf(innerOf(app)),
        ...(concurrency === undefined ? {} : { concurrency }),
        ...options,
      },
    });
    this.staff.push(staff);
    return staff;
  }

  /** Runs a worker, and resolves when messages would come to it. */
  async start(staff: Staff): Promise<void> {
    staff.start();
    await this.drive(this.simulator.settle());
    if (staff.failure !== undefined) throw staff.failure;
  }

  /** What a driver throws says how to see it again. */
  async drive(driven: Promise<void>): Promise<void> {
    try {
      await driven;
    } catch (error) {
      throw this.told(error);
    }
  }

  /**
   * Drives the simulation until the work has settled, which sends by this harness; `name` is a sentence's subject. It waits for something
   * inside also while one of `ending` stops, unless a task of it waits for the world outside.
   */
  async until<R>(name: string, work: () => Promise<R>, ending: readonly Staff[] = []): Promise<R> {
    const { scope, inner: { platform: { context } } } = this;
    const own = {
      app: scope.app,
      get until() {
        return scope.until;
      },
    };
    const key = context.available ? own : undefined;
    const driver = new UntilSettled({
      name,
      time: true,
      inside: () =>
        this.client.waits.has(key) || this.simulator.waits.has(key) ||
        ending.some(({ lives, outsiders }) => lives && outsiders.length === 0),
      stuck: () => this.#stuck(name),
    });
    const working = context.run(own, work);
    const over = (): void => {
      driver.settled = true;
      this.simulator.dismiss(driver);
    };
    working.then(over, over);
    await this.drive(this.simulator.drive(driver as Driver, false));
    return await working;
  }

  /** The error, with the line that shows how to see it again. */
  told(error: unknown): unknown {
    this.failed = true;
    if (error instanceof CeleriacError) error.message += `\n${this.replay}`;
    return error;
  }

  /** It stands in for its app no more, and nothing happens in it any more. */
  close(): void {
    this.#hope?.cancel();
    this.simulator.onRest = undefined;
    stepBack(this.scope);
    for (const { node } of this.staff) node.kill();
    this.client.kill();
  }

  /** Without an async context nobody can say which task it is that waits, and what it sends goes out by the client. */
  #isInside(node: SimulatedNode, id: string): boolean {
    return node.platform.context.available
      ? node.waits.has(id) || this.simulator.waits.has(id)
      : node.waits.any || this.client.waits.any;
  }

  /** A node, and the origin's fork on it; what passes is written down, and can be made to fail, unless nothing is to be kept. */
  #make(name: string): { node: SimulatedNode; app: Celery; member: Member | undefined } {
    const { keep, logger } = this.options;
    if (keep === 0) {
      const node = this.simulator.node(name);
      const { backend, broker, platform } = node;
      return { node, app: this.#origin.fork({ backend, broker, platform, logger }), member: undefined };
    }
    const member = this.faults.member(name);
    const { backend, broker, node, platform } = member;
    node.office = this.#office(name);
    const app = this.#origin.fork({ backend, broker, platform, logger: member.logger(logger) });
    return { node, app, member };
  }

  #office(by: string): PostOffice {
    const reading = {
      app: innerOf(this.#origin),
      queues: (exchange: string, key: string) => this.simulator.world.route(exchange, key),
    };
    return {
      post: (batch) => {
        const posted = batch.map((outgoing) => new Sent(reading, outgoing, this.simulator.now, by));
        for (const sent of posted) this.bag.add(sent);
        return (verdicts) => {
          posted.forEach((sent, at) => sent.verdict = verdicts[at]?.is);
          const opened = posted.flatMap((sent) => sent.opened ?? []);
          return opened.length === 0 ? undefined : Promise.all(opened);
        };
      },
    };
  }

  #stuck(name: string): CeleriacError {
    const waiting = this.client.backend.watched;
    const what = waiting.length === 0 ? "an answer" : `the result of ${waiting.slice(0, 5).join(", ")}`;
    return new CeleriacError("harness-stuck", `${name} waits for ${what}, and nothing is left to happen.`, {
      hint: this.#where(),
    });
  }

  /** Where tasks lie that nobody takes. */
  #where(): string {
    const left = this.simulator.world.queues.filter(({ ready, consumers }) => ready > 0 && consumers === 0);
    if (left.length === 0) return "See the harness's history.";
    const queues = left.map(({ name, ready }) => `${JSON.stringify(name)} (${ready})`).join(", ");
    return `No worker takes from the queue ${queues}.`;
  }

  /** Nothing is ready and nobody moves time: who waits for a result in the test's own code would wait for ever. */
  #rest(): void {
    this.#hope?.cancel();
    this.#hope = undefined;
    if (this.client.backend.watched.length === 0) return;
    const { events } = this.simulator;
    this.#hope = eventLoop.after(this.options.patience * HOPE, () => {
      if (this.simulator.events !== events || this.simulator.isDriven) return;
      const waiting = this.client.backend.watched;
      if (waiting.length === 0) return;
      this.client.backend.stop(this.told(
        new CeleriacError(
          "harness-still",
          `The result of ${waiting.slice(0, 5).join(", ")} is awaited while time stands still.`,
          { hint: "Move it: harness.advance(…), runUntilIdle(), or await within harness.run(…)." },
        ),
      ) as Error);
    });
  }
}
