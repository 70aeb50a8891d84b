/**
 * Runs a plan: load and faults, then everything is healed and quiet, then all is drained and judged.
 *
 * @module
 */
import { Celery } from "../../src/app/app.ts";
import type { Clock } from "../../src/lib/port.ts";
import { check, flaws, type Report } from "../../src/testing/check.ts";
import type { Member } from "../../src/testing/faults/member.ts";
import { SimulatedFaults } from "../../src/testing/faults/simulated.ts";
import { History } from "../../src/testing/history.ts";
import { Simulator } from "../../src/testing/simulator/simulator.ts";
import { withProbe } from "../../src/worker/probe.ts";
import { Worker } from "../../src/worker/worker.ts";
import { misstated, straying } from "./judge.ts";
import { type Hand, type Mishap, type Plan, QUEUES, type Send, SPAN } from "./plan.ts";
import { declare, type Memory, MOST_RETRIES } from "./tasks.ts";

/** What came of a plan. */
export interface Outcome {
  readonly report: Report;
  readonly history: History;
  /** All that is wrong, a line each. */
  readonly problems: readonly string[];
  /** Of all that happened. */
  readonly hash: string;
  readonly events: number;
}

const SILENT = { log: (): void => {} };

/** Longer than a publish may take. */
const QUIET = 40_000;

function queueName(queue: number): string {
  return `q${queue}`;
}

/** An app on a node of its own. */
interface Made {
  readonly app: Celery;
  readonly member: Member;
}

/** Where a worker of the plan works. */
interface Place extends Made {
  worker: Worker | undefined;
  /** Resolves when its run has ended. */
  run: Promise<void>;
}

/** One run under way. */
class Scene {
  readonly simulator: Simulator;
  readonly history: History;
  readonly faults: SimulatedFaults;
  readonly #plan: Plan;
  readonly #client: Made;
  readonly #chaos: Clock;
  readonly #operator: Member;
  /** By place in the plan. */
  readonly #places: Map<number, Place> = new Map();
  readonly #apps: Made[] = [];
  readonly #asked = new Set<string>();
  readonly #memory: Memory = { done: new Set(), runs: new Map() };
  readonly problems: string[] = [];
  #over = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.simulator = new Simulator({ seed: plan.seed, picks: plan.picks });
    this.history = new History({ clock: { now: () => this.simulator.now } });
    this.faults = new SimulatedFaults(this.simulator, this.history);
    this.#client = this.#app("client");
    this.#chaos = this.simulator.node("chaos").platform.clock;
    this.#operator = this.faults.member("inspector");
  }

  async run(): Promise<Outcome> {
    const { hands, mishaps, scatters, sends } = this.#plan;
    if (scatters) await this.faults.scatterConfirms("client");
    for (const [number, send] of sends.entries()) this.#at(send.at, () => this.#send(send, number));
    for (const [place, hand] of hands.entries()) {
      this.#at(hand.from, () => this.#work(place, hand));
      if (hand.stops > hand.from) this.#at(hand.stops, () => this.#stop(place, hand), hand.hops);
    }
    for (const mishap of mishaps) this.#at(mishap.at, () => this.#befall(mishap), mishap.hops);
    await this.simulator.advance(SPAN + 1100);
    this.#over = true;
    await this.#heal();
    this.#work(hands.length, {
      from: 0,
      queues: [0, 1, 2],
      concurrency: 4,
      multiplier: 1,
      stops: 0,
      hops: 0,
    });
    await this.simulator.advance(QUIET);
    await this.#drain();
    return this.#judge();
  }

  /** After `hops` events of that instant. */
  #at(ms: number, happens: () => void, hops = 0): void {
    this.#chaos.after(ms, hops === 0 ? happens : () => this.#at(0, happens, hops - 1));
  }

  #app(name: string): Made {
    const member = this.faults.member(name);
    const { backend, broker, platform } = member;
    const app = new Celery("simulation", {
      backend,
      broker,
      platform,
      logger: member.logger(SILENT),
      workerParkAfter: "1s",
    });
    declare(app, platform.clock, this.#memory);
    const made = { app, member };
    this.#apps.push(made);
    return made;
  }

  #send({ kind, queue, takes, countdown, expires, insists }: Send, number: number): void {
    const { app, member } = this.#client;
    const taskId = `t${number}`;
    if (insists) this.#asked.add(taskId);
    const sent = app.sendTask(kind, {
      args: [number, takes],
      taskId,
      queue: queueName(queue),
      ...(countdown > 0 ? { countdown: `${countdown}ms` } : {}),
      ...(expires > 0 ? { expires: `${expires}ms` } : {}),
      ...(insists ? { retry: "unknown" } : {}),
      ...(kind.endsWith(".linked") ? { link: app.signature("link", { queue: queueName(queue) }) } : {}),
    });
    member.recorder.sent(taskId, sent);
  }

  #work(place: number, hand: Hand, life = 0): void {
    const made = this.#app(life === 0 ? `w${place}` : `w${place}.${life}`);
    this.#places.set(place, { ...made, worker: undefined, run: Promise.resolve() });
    this.#start(place, hand);
  }

  #start(place: number, hand: Hand): void {
    const at = this.#places.get(place);
    if (at === undefined || !at.member.node.alive) return;
    const { app, member } = at;
    const worker = new Worker(
      app,
      withProbe({
        queues: hand.queues.map(queueName),
        concurrency: hand.concurrency,
        blockedLimit: null,
        prefetchMultiplier: hand.multiplier,
      }, member.probe),
    );
    at.worker = worker;
    member.recorder.add({ is: "worker-started" });
    const run = worker.run().then(() => undefined, (error: unknown) => {
      this.problems.push(`${member.name} ended: ${String(error)}`);
    });
    at.run = run.then(() => member.recorder.add({ is: "worker-stopped" }));
  }

  #stop(place: number, hand: Hand): void {
    const at = this.#places.get(place);
    if (at?.worker === undefined || !at.member.node.alive) return;
    void at.worker.stop(hand.how === undefined ? {} : { how: hand.how });
    void at.run.then(() => {
      if (!this.#over) this.#start(place, hand);
    });
  }

  #befall(mishap: Mishap): void {
    if (this.#over) return;
    const { faults } = this;
    const { hands } = this.#plan;
    // The client is the first; beyond the workers it is everybody.
    const node = mishap.node === 0
      ? "client"
      : mishap.node <= hands.length
      ? this.#places.get(mishap.node - 1)?.member.name
      : undefined;
    if (node === undefined && mishap.node <= hands.length) return;
    const later = (ms: number, heal: () => Promise<void>): void => this.#at(ms, () => void heal());
    switch (mishap.what) {
      case "cut":
        void faults.cut(node);
        return later(mishap.lasts, () => faults.heal(node));
      case "freeze":
        void faults.freeze(node);
        return later(mishap.lasts, () => faults.thaw(node));
      case "backendDown":
        void faults.backendDown(node);
        return later(mishap.lasts, () => faults.backendUp(node));
      case "scatterConfirms":
        void faults.scatterConfirms(node);
        return later(mishap.lasts, () => faults.scatterConfirms(node, false));
      case "drop":
        return void faults.drop(node, { flushed: mishap.flushed });
      case "duplicate":
        // Nothing may have been published yet.
        return void faults.duplicate().catch(() => {});
      case "refuse":
        return void faults.refuse(node, mishap.count);
      case "restart":
        return void faults.restart({ dirty: mishap.dirty });
      case "skew":
        if (node === undefined) return;
        return void faults.skew(node, `${Math.abs(mishap.ms)}ms`, mishap.ms < 0 ? "back" : "ahead");
      case "kill":
        return this.#kill(mishap);
      default:
        return void faults[mishap.what](node);
    }
  }

  #kill({ node, point, after, unsent }: Extract<Mishap, { what: "kill" }>): void {
    const place = node - 1;
    const [hand, at] = [this.#plan.hands[place], this.#places.get(place)];
    if (hand === undefined || at === undefined) return;
    void this.faults.kill(at.member.name, { after, unsent, ...(point === undefined ? {} : { at: point }) });
    // Somebody starts another one in its place.
    const revive = (): void => {
      // Another death may have been first.
      if (this.#over || this.#places.get(place) !== at) return;
      if (at.member.node.alive) this.#at(200, revive);
      else this.#work(place, hand, Number(at.member.name.split(".")[1] ?? 0) + 1);
    };
    this.#at(200, revive);
  }

  async #heal(): Promise<void> {
    const { faults } = this;
    await faults.heal();
    await faults.thaw();
    await faults.backendUp();
    await faults.scatterConfirms(undefined, false);
    for (const { member } of this.#apps) if (member.node.skewed !== 0) await faults.skew(member.name, 0);
  }

  async #drain(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      if (await this.#left() === 0) break;
      await this.simulator.advance(1000);
    }
    const left = await this.#left();
    if (left > 0) this.problems.push(`${left} messages are left in the queues`);
    const stops = [...this.#places.values()].filter(({ member }) => member.node.alive)
      .map(({ worker }) => worker?.stop() ?? Promise.resolve());
    await this.#driven(Promise.all(stops), "the workers do not stop");
    const alive = this.#apps.filter(({ member }) => member.node.alive);
    await this.#driven(Promise.all(alive.map(({ app }) => app.close())), "the apps do not close");
    await this.simulator.settle();
    for (const timer of this.simulator.timers) {
      if (alive.some(({ member }) => member.name === timer.owner)) {
        this.problems.push(`a timer of ${timer.owner} is left`);
      }
    }
  }

  /** Messages that are ready in the queues. */
  async #left(): Promise<number> {
    const { broker } = this.#operator.node;
    let left = 0;
    for (let queue = 0; queue < QUEUES; queue++) {
      const counted = broker.count(queueName(queue));
      await this.simulator.settle();
      left += await counted;
    }
    return left;
  }

  /** Drives the simulation on for as long as this needs it. */
  async #driven(work: Promise<unknown>, otherwise: string): Promise<void> {
    let done = false;
    void work.then(() => done = true, (error: unknown) => {
      done = true;
      this.problems.push(String(error));
    });
    for (let round = 0; round < 20 && !done; round++) await this.simulator.advance(round === 0 ? 0 : 1000);
    if (!done) this.problems.push(otherwise);
  }

  #judge(): Outcome {
    const { history, problems, simulator } = this;
    const report = check(history, {
      maxRetries: MOST_RETRIES,
      repeated: (task) => this.#asked.has(task),
    });
    const queueOf = (task: string): string =>
      queueName(this.#plan.sends[Number(task.slice(1))]?.queue ?? QUEUES);
    problems.push(
      ...flaws(report),
      ...straying(history, queueOf),
      ...misstated(history, (task) => simulator.store.get(task)?.status),
    );
    return { report, history, problems, hash: simulator.hash, events: simulator.events };
  }
}

/** Runs a plan to its end. */
export async function play(plan: Plan): Promise<Outcome> {
  return await new Scene(plan).run();
}
