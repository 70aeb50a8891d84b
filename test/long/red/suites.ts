/**
 * The contract suites on real servers, test by test: each test has a proxy of its own, so that several can run at once.
 *
 * @module
 */
import type { Backend } from "../../../src/backend.ts";
import type { Broker } from "../../../src/broker.ts";
import { exerciseBackend, exerciseBroker } from "../../../src/testing/mod.ts";
import { rabbitFeatures } from "../../contract/rabbit-features.ts";
import { redisFeatures } from "../../contract/redis-features.ts";
import { Proxy, startProxy } from "../../support/proxy.ts";
import type { PrivateGateway } from "../../support/gateway.ts";
import { memoryAlarm, restartApp } from "../../support/rabbit.ts";
import type { PrivateServer, RabbitServer } from "../../support/servers.ts";
import type * as own from "./adapters.ts";
import type { SuiteName, Twist, World } from "./saboteur.ts";
import { sabotagedBackend, sabotagedBroker } from "./wrap.ts";

/** How long an awaited thing may take, ms: what hangs is not to be waited for as long as in the suites' own runs. */
const PATIENCE = 4000;
/** After a restart of the server, and where news come by a deadline of the adapter's own, which is 4 s over HTTP. */
const LONG_PATIENCE = 15_000;
const QUICK = { reconnect: { min: "20ms", max: "200ms" } } as const;
const REDIS_QUICK = { reconnectMax: "200ms" } as const;
// The port of discard: nothing listens there.
const NOWHERE = "127.0.0.1:9";
const NO_DOOR = { url: `http://${NOWHERE}`, token: "none" };

/** Tests for what none of the real servers can: of the memory broker alone. */
const NOWHERE_ELSE: ReadonlySet<string> = new Set([
  "publish: messages that are to wait are confirmed at once, and come at their instants, not before",
]);

/** The adapters as they are, or with a mutant in them. */
export type Adapters = typeof own;

export interface Servers {
  readonly rabbit: RabbitServer;
  readonly redis: PrivateServer;
  /** Speaks for that Redis over HTTP. */
  readonly gateway: PrivateGateway;
}

/** What one test is run with. */
export interface Setting {
  readonly servers: Servers;
  readonly adapters: Adapters;
  readonly twist?: ((world: World) => Twist) | undefined;
}

export const SUITES: readonly SuiteName[] = [
  "RabbitMQ",
  "RabbitMQ, a link for each call",
  "Redis",
  "Redis over HTTP",
  "Redis results",
  "Redis results over HTTP",
  "memory",
];

/** A test that stops or blocks the server cannot have others beside it. */
export const needsServer = (name: string): boolean => name.startsWith("broker > server: ");

const isSlow = (suite: SuiteName, name: string): boolean =>
  needsServer(name) || suite === "Redis over HTTP" && / an observer learns /.test(name);

type Collect = (test: (name: string, run: () => Promise<void>) => void) => void;

/** One test's own network, objects and tests. */
class Stage implements AsyncDisposable {
  readonly #setting: Setting;
  readonly #proxy: Proxy;
  readonly #made: (Broker | Backend)[] = [];
  readonly #twist: Twist;
  #memory: own.MemoryWorld | undefined;
  readonly #world: World = {
    ...{ cuts: 0, freezes: 0, restarts: 0 },
    ...{ onCut: [], onRestart: [], notes: new Map<string, unknown>() },
  };

  constructor(setting: Setting, proxy: Proxy) {
    this.#setting = setting;
    this.#proxy = proxy;
    this.#twist = setting.twist?.(this.#world) ?? {};
  }

  tests(suite: SuiteName, patience: number): Collect {
    const link = {
      cut: () => {
        this.#world.cuts++;
        for (const tell of this.#world.onCut) tell();
        this.#proxy.cut();
      },
      freeze: () => {
        this.#world.freezes++;
        this.#proxy.blackhole("both");
      },
      thaw: () => this.#proxy.heal(),
    };
    const { adapters, servers } = this.#setting;
    const through = (url: string): string => url.replace(/:\d+\//, `:${this.#proxy.port}/`);
    const door = () => ({ url: `http://127.0.0.1:${this.#proxy.port}`, token: servers.gateway.token });
    if (suite === "Redis results" || suite === "Redis results over HTTP") {
      const [make, unreachable] = suite === "Redis results"
        ? [
          () => adapters.redisBackend(through(servers.redis.url)),
          () => adapters.redisBackend(`redis://${NOWHERE}`),
        ]
        : [() => adapters.upstashBackend(door()), () => adapters.upstashBackend(NO_DOOR)];
      return (test) =>
        exerciseBackend({
          make: () => this.#backend(make()),
          features: { push: suite === "Redis results", chord: "none", shared: true },
          facts: true,
          shortestTtl: 200,
          ...{ link, patience },
          unreachable: () => this.#backend(unreachable()),
        }, { test: (name, run) => test(`backend > ${name}`, run) });
    }
    const redisServer = { restart: () => this.#restart(() => servers.redis.restart()) };
    if (suite === "Redis") {
      return (test) =>
        exerciseBroker({
          make: () => this.#broker(adapters.redisBroker(through(servers.redis.url), REDIS_QUICK)),
          features: redisFeatures(),
          routing: "kombu",
          ...{ link, patience },
          server: redisServer,
          unreachable: () => this.#broker(adapters.redisBroker(`redis://${NOWHERE}`, REDIS_QUICK)),
        }, { test: (name, run) => test(`broker > ${name}`, run) });
    }
    if (suite === "Redis over HTTP") {
      return (test) =>
        exerciseBroker({
          make: () => this.#broker(adapters.upstashBroker({ ...door(), pollInterval: "50ms" })),
          features: redisFeatures({ link: "call", maxMessage: 7_000_000, subscribe: false }),
          routing: "kombu",
          ...{ link, patience },
          server: redisServer,
          unreachable: () => this.#broker(adapters.upstashBroker(NO_DOOR)),
        }, { test: (name, run) => test(`broker > ${name}`, run) });
    }
    if (suite === "memory") {
      return (test) =>
        exerciseBroker({
          make: () =>
            this.#broker(adapters.memoryBroker({ world: this.#memory ??= new adapters.MemoryWorld() })),
          features: { ...rabbitFeatures("shared"), confirm: "memory", delay: true },
          patience,
        }, { test: (name, run) => NOWHERE_ELSE.has(name) && test(`broker > ${name}`, run) });
    }
    const how = { link: suite === "RabbitMQ" ? "shared" : "call", ...QUICK } as const;
    return (test) =>
      exerciseBroker({
        make: () => this.#broker(adapters.amqpBroker(through(servers.rabbit.url), how)),
        features: rabbitFeatures(how.link),
        ...{ link, patience },
        server: this.#faults(how.link),
        unreachable: () => this.#broker(adapters.amqpBroker(`amqp://${NOWHERE}`, how)),
      }, { test: (name, run) => test(`broker > ${name}`, run) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#proxy.heal();
    const deadline = Date.now() + 1000;
    const closing = this.#made.map((one) => one.close({ deadline }));
    const late = new Promise((resolve) => setTimeout(resolve, 1500));
    await Promise.race([Promise.allSettled(closing), late]);
    await this.#proxy[Symbol.asyncDispose]();
  }

  #broker(inner: Broker): Broker {
    this.#made.push(inner);
    return sabotagedBroker(inner, this.#twist);
  }

  #backend(inner: Backend): Backend {
    this.#made.push(inner);
    return sabotagedBackend(inner, this.#twist);
  }

  #faults(link: "shared" | "call") {
    const restart = (): Promise<void> => this.#restart(() => restartApp(this.#setting.servers.rabbit));
    const alarm = (on: boolean): Promise<void> => memoryAlarm(this.#setting.servers.rabbit, on);
    // A link for one call tells nobody of an alarm.
    return link === "shared" ? { restart, alarm } : { restart };
  }

  async #restart(restart: () => Promise<void>): Promise<void> {
    for (const tell of this.#world.onRestart) await tell();
    this.#world.restarts++;
    await restart();
  }
}

/** Names as test/contract/promises.md has them; no server is asked. */
export function testsOf(suite: SuiteName): readonly string[] {
  const names: string[] = [];
  const nobody = {} as Setting;
  new Stage(nobody, new Proxy({ host: "127.0.0.1", port: 0 })).tests(suite, PATIENCE)((name) =>
    names.push(name)
  );
  return names;
}

/** Runs one test to its end or its deadline; what it failed with, or undefined. */
export async function runTest(suite: SuiteName, name: string, setting: Setting): Promise<unknown> {
  const { rabbit, redis, gateway } = setting.servers;
  const port = suite.startsWith("RabbitMQ")
    ? rabbit.port
    : suite.endsWith("HTTP")
    ? Number(new URL(gateway.url).port)
    : redis.port;
  await using stage = new Stage(setting, await startProxy({ host: "127.0.0.1", port }));
  let chosen: (() => Promise<void>) | undefined;
  const long = isSlow(suite, name);
  stage.tests(suite, long ? LONG_PATIENCE : PATIENCE)((one, run) => {
    if (one === name) chosen = run;
  });
  if (chosen === undefined) throw new Error(`${suite} has no test "${name}"`);
  // As it is, it may take its time on a busy machine.
  const deadline = long ? 120_000 : setting.twist === undefined ? 60_000 : 20_000;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Error>((resolve) => {
    timer = setTimeout(() => resolve(new NoEnd(`no end within ${deadline / 1000} s`)), deadline);
  });
  try {
    return await Promise.race([late, chosen().then(() => undefined, (error: unknown) => error)]);
  } finally {
    clearTimeout(timer);
  }
}

/** A test did not come to its end. */
export class NoEnd extends Error {
  override name = "NoEnd";
}
