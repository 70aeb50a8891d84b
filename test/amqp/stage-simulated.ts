/**
 * The simulation as a stage: nodes of one simulator, whose time goes on as far as a scenario waits.
 *
 * @module
 */
import { Celery } from "../../src/app/app.ts";
import { AssertionError } from "../../src/testing/assert.ts";
import type { Member } from "../../src/testing/faults/member.ts";
import { SimulatedFaults } from "../../src/testing/faults/simulated.ts";
import { History } from "../../src/testing/history.ts";
import { Simulator } from "../../src/testing/simulator/simulator.ts";
import { withProbe } from "../../src/worker/probe.ts";
import { Worker } from "../../src/worker/worker.ts";
import { declareTasks } from "./fixtures/doomed-tasks.mjs";
import { callOf, outcomeOf, type Sending, type Sent, type Stage } from "./stages.ts";

const QUEUES = ["faults", "faults.next"] as const;
const SILENT = { log: (): void => {} };

/** How long a scenario may wait, ms of the simulation's time, and in what steps it looks. */
const LONGEST = 120_000;
const STEP = 20;

/** A worker, and how it fares. */
interface Staff {
  readonly member: Member;
  readonly worker: Worker;
  ended: boolean;
}

/** A RabbitMQ that is simulated. */
export function simulated(): Stage {
  const simulator = new Simulator({ seed: 1 });
  const history = new History({ clock: { now: () => simulator.now } });
  const fault = new SimulatedFaults(simulator, history);
  const released = new Set<number>();
  const staff: Staff[] = [];

  const make = (name: string): { readonly app: Celery; readonly member: Member } => {
    const member = fault.member(name);
    const { backend, broker, platform } = member;
    const logger = member.logger(SILENT);
    const app = new Celery("doomed", { backend, broker, platform, logger, taskDefaultQueue: QUEUES[0] });
    declareTasks(app, async (number) => {
      while (!released.has(number)) {
        await new Promise<void>((resolve) => void platform.clock.after(STEP, resolve));
      }
    });
    return { app, member };
  };
  const client = make("client");

  const stage: Stage = {
    fault,
    history,
    sendings: new Map<number, Sending>(),
    idOf: (number) => `task-${number}`,
    async sendAll(sendings) {
      const outcomes: Sent[] = [];
      const ends = sendings.map(async (sending, at) => {
        (stage.sendings as Map<number, Sending>).set(sending.number, sending);
        const to = { taskId: stage.idOf(sending.number), queues: QUEUES };
        outcomes[at] = await outcomeOf(
          client.app.sendTask(sending.task, callOf(client.app, sending, to)),
        );
      });
      const all = Promise.all(ends).then(() => true);
      all.catch(() => {});
      let over = false;
      void all.then(() => over = true, () => over = true);
      await stage.until("all is sent", () => over);
      await all;
      return outcomes;
    },
    async start({ last } = {}) {
      const name = `worker-${staff.length + 1}`;
      const { app, member } = make(name);
      const options = {
        queues: last === true ? [...QUEUES] : [QUEUES[0]],
        concurrency: 1,
        prefetchMultiplier: 2,
        blockedLimit: null,
      };
      const one: Staff = { member, worker: new Worker(app, withProbe(options, member.probe)), ended: false };
      staff.push(one);
      member.recorder.add({ is: "worker-started" });
      void one.worker.run().finally(() => {
        one.ended = true;
        member.recorder.add({ is: "worker-stopped" });
      });
      await stage.until(`${name} has started`, () => consumes(history, name));
      return name;
    },
    release: async (number) => void released.add(number),
    async until(what, condition) {
      const end = simulator.now + LONGEST;
      for (; !await condition(); await simulator.advance(STEP)) {
        if (simulator.now >= end) throw new AssertionError(`does not come in the simulation: ${what}`);
      }
    },
    waiting: () => Promise.resolve(simulator.world.queues.reduce((sum, { ready }) => sum + ready, 0)),
    state: (number) => Promise.resolve(simulator.store.get(stage.idOf(number))?.status ?? "none"),
    async stop() {
      const living = staff.filter(({ ended, member }) => !ended && member.node.alive);
      for (const { worker } of living) void worker.stop();
      await stage.until("the workers have stopped", () => living.every(({ ended }) => ended));
    },
    async [Symbol.asyncDispose]() {},
  };
  return stage;
}

/** Whether the node has a consumer. */
export function consumes({ entries }: History, name: string): boolean {
  return entries.some(({ is, node }) => is === "window" && node === name);
}
