/**
 * Real servers as a stage: a RabbitMQ, or a Redis, as the broker, a Redis as the result backend, and workers in processes of their own.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { redisBackend, redisBroker } from "../../adapters/redis/tcp.ts";
import { Celery } from "../../src/app/app.ts";
import type { Broker, Outgoing } from "../../src/broker.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { NewEntry } from "../../src/testing/entry.ts";
import { History } from "../../src/testing/history.ts";
import { taskOf } from "../../src/testing/recorded-delivery.ts";
import { Recorder } from "../../src/testing/recorder.ts";
import { Prng } from "../../src/testing/simulator/prng.ts";
import { AmqpWay } from "../support/amqp-way.ts";
import { tail } from "../support/child.ts";
import { Doomed, skewable } from "../support/doomed.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { RealFaults } from "../support/real-faults.ts";
import type { PrivateServer } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { consumes } from "./stage-simulated.ts";
import { callOf, outcomeOf, type Sending, type Stage } from "./stages.ts";

/** Where it is played. */
export interface RealOptions {
  /** Starts `fixtures/doomed.mjs`. */
  readonly command: readonly string[];
  /** URLs; what is made there has names of its own. */
  readonly broker: string;
  readonly backend: string;
  /** The broker, where it is private and may be stopped. */
  readonly server?: PrivateServer;
}

/** How long anything may take, ms. */
const LONGEST = 40_000;

/** See the module. */
export async function real({ backend, broker: url, command, server }: RealOptions): Promise<Stage> {
  const isAmqp = url.startsWith("amqp");
  const queue = `faults-${randomUUID()}`;
  const queues = [queue, `${queue}.next`] as const;
  const full = `${queue}.full`;
  const history = new History({ clock: systemPlatform.clock });
  const [proxies, stores] = [new Map<string, Proxy>(), new Map<string, Proxy>()];
  const ways = new Map<string, AmqpWay>();
  const workers = new Map<string, Doomed>();
  const outgoing = new Map<string, Outgoing>();
  const released = new Set<number>();
  const ids = new Map<number, string>();
  const { platform, skew } = skewable();
  const clocks = new Map([["client", skew]]);
  const sender = brokerOf(url);
  const results = redisBackend(backend);
  const fault = new RealFaults({
    ...{ history, proxies, ways, stores, workers, clocks, sender, outgoing, full, server },
  });

  const by = async (node: string): Promise<string> => {
    const proxy = await startProxy(placeOf(url));
    proxies.set(node, proxy);
    const chance = new Prng(1, node);
    if (isAmqp) ways.set(node, new AmqpWay(proxy, fault.host(node, () => chance.next())));
    return through(url, proxy);
  };

  const recorder = new Recorder(history, "client");
  recorder.onPublished = (one) => void outgoing.set(taskOf(one.message), one);
  const app = new Celery("client", {
    broker: recorder.broker(brokerOf(await by("client"), platform)),
    taskDefaultQueue: queue,
    logger: { log: () => {} },
    platform,
  });
  if (isAmqp) {
    const never = { "x-max-length": 0, "x-overflow": "reject-publish", "x-expires": 600_000 };
    const entity = { kind: "queue", name: full, durable: true, exclusive: false, autoDelete: false } as const;
    await sender.declare([{ ...entity, arguments: never }]);
  }

  const killed = (name: string): boolean =>
    history.entries.some(({ is, node }) => is === "worker-killed" && node === name);
  /** What a worker said that ended by itself. */
  const unasked = (): string => {
    for (const [name, { child, lives }] of workers) {
      if (!lives && !stopping && !killed(name)) return `${name} ended: ${child.ended}\n${tail(child.log)}`;
    }
    return "";
  };
  let stopping = false;

  const stage: Stage = {
    fault,
    history,
    sendings: new Map<number, Sending>(),
    idOf: (number) => ids.get(number) ?? "",
    async sendAll(sendings) {
      return await Promise.all(sendings.map((sending) => {
        const taskId = randomUUID();
        ids.set(sending.number, taskId);
        (stage.sendings as Map<number, Sending>).set(sending.number, sending);
        return outcomeOf(app.sendTask(sending.task, callOf(app, sending, { taskId, queues })));
      }));
    },
    async start({ last } = {}) {
      const name = `worker-${workers.size + 1}`;
      const base = workers.size * 1_000_000;
      const store = await startProxy(placeOf(backend));
      stores.set(name, store);
      const given = {
        broker: await by(name),
        backend: through(backend, store),
        queues: last === true ? queues : [queue],
        name,
        hostname: `${name}@${queue}`,
      };
      const worker = new Doomed({
        command: [...command, JSON.stringify(given)],
        onEntry: (entry) => history.add(renumbered(entry, base)),
        onDeath: (point) => fault.died(name, point),
      });
      workers.set(name, worker);
      // On Redis its first claim waits for the link, and says the time at which it began to wait.
      const isUp = (): boolean =>
        isAmqp ||
        history.entries.some((entry) =>
          entry.is === "link" && entry.node === name && entry.link === "consume" && entry.state === "up"
        );
      await stage.until(`${name} has started`, () => consumes(history, name) && isUp());
      for (const number of released) await worker.order({ release: number });
      return name;
    },
    async release(number) {
      released.add(number);
      for (const worker of workers.values()) if (worker.lives) await worker.order({ release: number });
    },
    async until(what, condition) {
      const seen = (): string => history.entries.slice(-30).map((entry) => JSON.stringify(entry)).join("\n");
      let ended = "";
      const over = async (): Promise<boolean> => await condition() || (ended = unasked()) !== "";
      await until(over, { what, deadline: LONGEST, seen });
      if (ended !== "") throw new Error(`${ended}\n\nwhile this was awaited: ${what}`);
    },
    async waiting() {
      let sum = 0;
      for (const name of queues) sum += await sender.count(name).catch(() => 0);
      return sum;
    },
    async state(number) {
      const [record] = await results.load([stage.idOf(number)]);
      return record?.status ?? "none";
    },
    async stop() {
      const before = unasked();
      if (before !== "") throw new Error(before);
      const living = [...workers.values()].filter(({ lives }) => lives);
      stopping = true;
      for (const worker of living) void worker.order({ stop: true });
      await stage.until("the workers have stopped", () => living.every(({ lives }) => !lives));
      for (const [name, { child }] of workers) {
        const ended = child.ended;
        if (ended !== "exit 0" && !killed(name)) {
          throw new Error(`${name} ended: ${ended}\n${tail(child.log)}`);
        }
      }
    },
    async [Symbol.asyncDispose]() {
      for (const worker of workers.values()) await worker[Symbol.asyncDispose]();
      for (const name of queues) await sender.purge(name).catch(() => {});
      await Promise.all([app.close(), sender.close(), results.close()]);
      for (const proxy of [...proxies.values(), ...stores.values()]) await proxy[Symbol.asyncDispose]();
    },
  };
  return stage;
}

function brokerOf(url: string, platform = systemPlatform): Broker {
  return url.startsWith("amqp")
    ? amqpBroker(url, { reconnect: { min: "10ms", max: "50ms" }, platform })
    : redisBroker(url, { reconnectMax: "50ms", platform });
}

function placeOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

function through(url: string, proxy: Proxy): string {
  const way = new URL(url);
  way.host = `127.0.0.1:${proxy.port}`;
  return way.href;
}

/** The numbers of a process, apart from those of the others. */
function renumbered(entry: NewEntry, base: number): NewEntry {
  const moved: Record<string, unknown> = { ...entry };
  for (const key of ["publish", "consumer", "delivery", "store"]) {
    if (typeof moved[key] === "number") moved[key] = moved[key] + base;
  }
  return moved as unknown as NewEntry;
}
