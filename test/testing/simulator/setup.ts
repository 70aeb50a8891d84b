/**
 * One app on a simulator: a client and as many workers as a test wants.
 *
 * @module
 */
import type { Celery } from "../../../src/app/app.ts";
import { systemPlatform } from "../../../src/lib/platform.ts";
import type { SimulatedNode } from "../../../src/testing/simulator/node.ts";
import { Simulator, type SimulatorOptions } from "../../../src/testing/simulator/simulator.ts";
import { Worker, type WorkerOptions } from "../../../src/worker/worker.ts";

/** A worker on a node of its own. */
export interface Staff {
  readonly node: SimulatedNode;
  readonly worker: Worker;
  readonly app: Celery;
  readonly done: Promise<void>;
}

/** What the parts of a test hang on. */
export interface Rig {
  readonly simulator: Simulator;
  readonly client: SimulatedNode;
  /** Sends from the client. */
  readonly app: Celery;
  /** Runs a worker of this name. */
  work(name: string, options?: WorkerOptions): Staff;
  /** Ends all that lives. */
  close(): Promise<void>;
}

const quiet = { log: (): void => {} };

/** A client of `origin`, whose tasks are declared there. */
export function rig(origin: Celery, options: SimulatorOptions = {}): Rig {
  const simulator = new Simulator(options);
  const on = (node: SimulatedNode): Celery => {
    const { backend, broker, platform } = node;
    return origin.fork({ backend, broker, platform, logger: quiet });
  };
  const client = simulator.node("client");
  const app = on(client);
  const staff: Staff[] = [];
  return {
    simulator,
    client,
    app,
    work(name, workerOptions = {}) {
      const node = simulator.node(name);
      const fork = on(node);
      const worker = new Worker(fork, { blockedLimit: null, ...workerOptions });
      const done = systemPlatform.context.run(undefined, () => worker.run());
      const one = { node, worker, app: fork, done };
      staff.push(one);
      return one;
    },
    async close() {
      const living = staff.filter(({ node }) => node.alive);
      await Promise.all(living.map(({ worker }) => worker.stop()));
      await Promise.all(living.map(({ app: fork }) => fork.close()));
      await app.close();
    },
  };
}
