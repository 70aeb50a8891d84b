/**
 * One scenario of faults, and two stages on which it is played: the simulation, and a real RabbitMQ with workers in processes of their own.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { Celery } from "../../src/app/app.ts";
import type { Outgoing } from "../../src/broker.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { check, type Report } from "../../src/testing/check.ts";
import type { Entry, NewEntry } from "../../src/testing/entry.ts";
import type { Faults } from "../../src/testing/faults/faults.ts";
import { createHarness } from "../../src/testing/harness/harness.ts";
import { History } from "../../src/testing/history.ts";
import { taskOf } from "../../src/testing/recorded-delivery.ts";
import { Recorder } from "../../src/testing/recorder.ts";
import { type Child, startChild } from "../support/child.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { RealFaults } from "../support/real-faults.ts";
import { until } from "../support/wait.ts";

/** Where a scenario is played. */
export interface Stage extends AsyncDisposable {
  readonly fault: Faults;
  /** Sends a task by the node "client"; "unknown" where nobody knows whether it came through. */
  send(task: "early" | "late", number: number): Promise<"sent" | "unknown">;
  /** Starts a worker, "worker-1" and so on. */
  start(): Promise<void>;
  /** Resolves when a worker that was to die is dead. */
  dead(worker: string): Promise<void>;
  /** Resolves when these tasks have run to their end and are settled. */
  ran(...numbers: readonly number[]): Promise<void>;
  /** Stops what lives, and judges. */
  judge(): Promise<Report>;
}

/** A worker dies with a result stored and not acked, a confirm is lost, a link is cut for a while, a message is doubled. */
export async function scenario(stage: Stage): Promise<Report> {
  const { fault } = stage;
  await stage.start();
  await fault.kill("worker-1", { at: "stored", after: 1 });
  for (const number of [0, 1, 2]) await stage.send("late", number);
  await stage.dead("worker-1");
  await stage.start();
  await stage.ran(0, 1, 2);
  await fault.loseConfirm("client");
  if (await stage.send("early", 3) !== "unknown") throw new Error("the confirm was not lost");
  await stage.ran(3);
  await fault.cut("worker-2");
  await stage.send("late", 4);
  await fault.heal("worker-2");
  await stage.ran(4);
  await stage.send("early", 5);
  await fault.duplicate();
  await stage.ran(5);
  return await stage.judge();
}

/** What must be the same on every stage. */
export function verdictOf({ ok, lost, unexpected, duplicated, recovered, violations }: Report): unknown {
  return {
    ok,
    lost: lost.length,
    unexpected: unexpected.length,
    // How many there are hangs on what had begun when the worker died.
    duplicates: duplicated.unexplained.length > 0
      ? "unexplained"
      : duplicated.explained.length > 0
      ? "explained"
      : "none",
    recovered: recovered.length,
    violations,
  };
}

/** The simulation. */
export async function simulated(): Promise<Stage> {
  const app = new Celery("doomed");
  app.task("early", (number: number) => number);
  app.task("late", { acksLate: true }, (number: number) => number);
  const harness = await createHarness(app, { workers: 0, concurrency: 1 });
  return {
    fault: harness.fault,
    async send(task, number) {
      const sent = harness.run(() => harness.app.sendTask(task, { args: [number] }));
      return await sent.then(() => "sent" as const, unknownOnly);
    },
    start: async () => void await harness.worker({ prefetchMultiplier: 2 }),
    // A drain would start a worker in the place of the dead one.
    dead: () => harness.advance(1),
    ran: async () => void await harness.drain(),
    async judge() {
      await harness.drain();
      return harness.check();
    },
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

function unknownOnly(error: unknown): "unknown" {
  if ((error as { readonly code?: string }).code === "publish-unknown") return "unknown";
  throw error;
}

/** A RabbitMQ; `command` starts the script `fixtures/doomed.mjs`. */
export async function real(url: string, command: readonly string[]): Promise<Stage> {
  const [program = "", ...args] = command;
  const queue = `faults-${randomUUID()}`;
  const history = new History({ clock: systemPlatform.clock });
  const proxies = new Map<string, Proxy>();
  const children = new Map<string, Child>();
  const outgoing = new Map<string, Outgoing>();
  const through = async (node: string): Promise<string> => {
    const { hostname, port } = new URL(url);
    const proxy = await startProxy({ host: hostname, port: Number(port || 5672) });
    proxies.set(node, proxy);
    const way = new URL(url);
    way.host = `127.0.0.1:${proxy.port}`;
    return way.href;
  };
  const recorder = new Recorder(history, "client");
  recorder.onPublished = (one) => void outgoing.set(taskOf(one.message), one);
  const broker = recorder.broker(
    amqpBroker(await through("client"), { reconnect: { min: "10ms", max: "50ms" } }),
  );
  const app = new Celery("client", { broker, taskDefaultQueue: queue, logger: { log: () => {} } });
  const sender = amqpBroker(url);
  const fault = new RealFaults({ history, proxies, children, sender, outgoing });
  const ids = new Map<number, string>();

  /** Tells that it was done: each of its messages is settled, and its runs have ended. */
  const isDone = (number: number): boolean => {
    const own = history.entries.filter((entry) => "task" in entry && entry.task === ids.get(number));
    const count = (is: Entry["is"]): number => own.filter((entry) => entry.is === is).length;
    return count("ended") > 0 && count("settled") >= 1 && own.some((entry) => entry.is === "stored");
  };

  return {
    fault,
    async send(task, number) {
      const taskId = randomUUID();
      ids.set(number, taskId);
      return await app.sendTask(task, { args: [number], taskId }).then(() => "sent" as const, unknownOnly);
    },
    async start() {
      const name = `worker-${children.size + 1}`;
      const base = children.size * 1_000_000;
      const child = startChild(program, [...args, await through(name), queue, name]);
      children.set(name, child);
      child.onLine((line) => {
        if (!line.startsWith("{")) return;
        const told = JSON.parse(line) as NewEntry | { readonly died: string };
        if ("died" in told) fault.died(name, told.died);
        else history.add(renumbered(told, base));
      });
      await until(() => history.entries.some((entry) => entry.node === name && entry.is === "window"), {
        what: `the start of ${name}: ${child.log}`,
        deadline: 30_000,
      });
    },
    async dead(worker) {
      await until(() => children.get(worker)?.ended !== undefined, {
        what: `the death of ${worker}`,
        deadline: 20_000,
      });
    },
    async ran(...numbers) {
      await until(() => numbers.every(isDone), {
        what: `the end of ${numbers.join(", ")}: ${JSON.stringify(history.entries.slice(-20))}`,
        deadline: 20_000,
      });
    },
    async judge() {
      await until(async () => await sender.count(queue) === 0, { what: "an empty queue" });
      for (const child of children.values()) if (child.ended === undefined) child.write("stop\n");
      await until(() => [...children.values()].every(({ ended }) => ended !== undefined), {
        what: "the end of the workers",
        deadline: 20_000,
      });
      return check(history);
    },
    async [Symbol.asyncDispose]() {
      for (const child of children.values()) await child[Symbol.asyncDispose]();
      await sender.purge(queue);
      await app.close();
      await sender.close();
      for (const proxy of proxies.values()) await proxy[Symbol.asyncDispose]();
    },
  };
}

/** The numbers of a process, apart from those of the others. */
function renumbered(entry: NewEntry, base: number): NewEntry {
  const moved: Record<string, unknown> = { ...entry };
  for (const key of ["publish", "consumer", "delivery", "store"]) {
    if (typeof moved[key] === "number") moved[key] = moved[key] + base;
  }
  return moved as unknown as NewEntry;
}
