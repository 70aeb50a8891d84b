/**
 * A01: a worker whose link to Redis is broken in every way, again and again. After each the next task must run soon, and while the server is out
 * of reach the worker must not look alive.
 *
 * @module
 */
import { redisBroker } from "../../../adapters/redis/tcp.ts";
import { Celery } from "../../../mod.ts";
import type { Broker, Consumer } from "../../../src/broker.ts";
import type { Duration } from "../../../src/lib/duration.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { Coverage } from "../../support/coverage.ts";
import { startProxy } from "../../support/proxy.ts";
import { startRedis } from "../../support/servers.ts";
import { pause, until } from "../../support/wait.ts";
import { placeOf, through } from "../setup.ts";

/** What can happen to a link. */
export const CUTS = [
  "reset",
  "closed",
  "black hole",
  "black hole that ends",
  "restart",
  "restart after a while",
  "three losses in a row",
] as const;

/** What is run. */
export interface CutOptions {
  /** How many cuts, of each kind in turn. */
  readonly cuts: number;
  /** How long a black hole lasts, and how long the server stays away, ms. */
  readonly hole: number;
  readonly away: number;
  /** The broker's own. */
  readonly commandTimeout: Duration;
  readonly onCut?: (line: string) => void;
  /** No cut comes after this instant of `performance.now()`. */
  readonly until?: number;
}

/** What came of it. */
export interface CutReport {
  readonly cover: Coverage;
  /** From the moment at which the server is in reach again until a task ran, the slowest, ms. */
  readonly slowest: number;
  /** Tasks that ran more than once. */
  readonly repeated: number;
}

/** The longest pause of a consumer between two attempts is 5 s, and so much more is allowed, ms. */
export const LIMIT = 5000 + 5000;

/** The broker, with the consumer that it made in sight. */
function watched(broker: Broker): { readonly broker: Broker; readonly consumer: () => Consumer | undefined } {
  let made: Consumer | undefined;
  return {
    consumer: () => made,
    broker: new Proxy(broker, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (name === "consume") {
          return (...args: Parameters<Broker["consume"]>) => made = target.consume(...args);
        }
        return typeof value === "function" ? value.bind(target) as unknown : value;
      },
    }),
  };
}

/** Throws at the first cut after which no task ran in time, or while which the worker looked alive. */
export async function cutRun(
  { away, commandTimeout, cuts, hole, onCut, until: end = Infinity }: CutOptions,
): Promise<CutReport> {
  const cover = new Coverage("A01 cuts", [...CUTS, "looked dead while it was out of reach"]);
  await using server = await startRedis();
  await using proxy = await startProxy(placeOf(server.url));
  const timeouts = { commandTimeout, connectTimeout: commandTimeout, reconnectMax: "1s" } as const;
  const { broker, consumer } = watched(redisBroker(through(server.url, proxy.port), timeouts));
  const runs = new Map<number, number>();
  await using app = new Celery("cut", { broker, taskDefaultQueue: "cut", logger: silentLogger });
  app.task("cut.probe", (number: number) => void runs.set(number, (runs.get(number) ?? 0) + 1));
  await using feed = new Celery("feed", {
    broker: redisBroker(server.url, { reconnectMax: "200ms" }),
    taskDefaultQueue: "cut",
  });
  await using worker = new Worker(app);
  const running = worker.run();
  let ended: unknown;
  running.then(() => ended = "it ended", (error: unknown) => ended = error);

  /** From now on a task must run in time. */
  async function probe(number: number, what: string): Promise<number> {
    const back = performance.now();
    await feed.sendTask("cut.probe", { args: [number] });
    await until(() => runs.has(number) || ended !== undefined, {
      what: `a task after cut ${number} (${what}); alive ${Date.now() - (consumer()?.aliveAt ?? 0)} ms ago`,
      deadline: LIMIT,
    });
    if (ended !== undefined) {
      throw new Error(`the worker ended after cut ${number} (${what})`, { cause: ended });
    }
    const took = performance.now() - back;
    onCut?.(`${number} ${what}: ${took.toFixed(0)} ms`);
    return took;
  }

  /** The server is out of reach for `ms`: the worker's last sign of life grows old. */
  async function outOfReach(ms: number): Promise<void> {
    const begun = Date.now();
    await pause(ms);
    const alive = consumer()?.aliveAt ?? 0;
    // What was under way may have come in still.
    if (alive > begun + 100) throw new Error(`it looked alive ${alive - begun} ms after its server was gone`);
    cover.note("looked dead while it was out of reach");
  }

  await probe(0, "nothing yet");
  let slowest = 0;
  for (let number = 1; number <= cuts && performance.now() < end; number++) {
    const kind = CUTS[(number - 1) % CUTS.length] ?? CUTS[0];
    switch (kind) {
      case "reset":
        proxy.rst();
        break;
      case "closed":
        proxy.cut();
        break;
      case "black hole":
        proxy.blackhole("both");
        await outOfReach(hole);
        proxy.cut();
        proxy.heal();
        break;
      case "black hole that ends":
        proxy.blackhole("both");
        await outOfReach(hole);
        proxy.heal();
        break;
      case "restart":
        await server.restart();
        break;
      case "restart after a while":
        await server.kill9();
        await outOfReach(away);
        await server.start();
        break;
      case "three losses in a row":
        for (let loss = 0; loss < 3; loss++) {
          proxy.rst();
          await pause(650);
        }
    }
    slowest = Math.max(slowest, await probe(number, kind));
    if ((consumer()?.aliveAt ?? 0) < Date.now() - LIMIT) {
      throw new Error(`it does not look alive after cut ${number}`);
    }
    cover.note(kind);
    cover.runs++;
  }
  await worker.stop();
  await running;
  return { cover, slowest, repeated: [...runs.values()].filter((count) => count > 1).length };
}
