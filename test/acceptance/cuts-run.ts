/**
 * A01: a worker whose link to RabbitMQ is broken in every way, again and again. After each the next task must run soon, and while the broker
 * is out of reach its health must be red.
 *
 * @module
 */
import { Coverage } from "../support/coverage.ts";
import type { RabbitServer } from "../support/servers.ts";
import { pause, until } from "../support/wait.ts";
import { bench } from "./bench.ts";

/** What can happen to a link. */
export const CUTS = [
  "reset",
  "closed",
  "black hole",
  "black hole that ends",
  "refused for a while",
  "three losses in a row",
  "restart",
  "killed, and back after a while",
] as const;

/** What is run. */
export interface CutOptions {
  readonly server: RabbitServer;
  /** How many cuts, of each of the kinds in turn. */
  readonly cuts: number;
  readonly kinds?: readonly (typeof CUTS[number])[];
  /** How long a black hole lasts, and how long the broker stays away, ms. */
  readonly hole: number;
  readonly away: number;
  /** No cut comes after this instant of `performance.now()`. */
  readonly until?: number;
  readonly onCut?: (line: string) => void;
}

/** What came of it. */
export interface CutReport {
  readonly cover: Coverage;
  /** From the moment at which the broker is in reach again until a task ran, the slowest, ms. */
  readonly slowest: number;
  /** Tasks that ran more than once. */
  readonly repeated: number;
}

/** The longest pause between two attempts is 1 s here; 5 s more are allowed, and 4 s for a heartbeat that is missed twice. */
export const LIMIT = 1000 + 5000 + 4000;

/** `health()` is red after so long without a sign, ms. */
const SILENCE = 2500;

/** Throws at the first cut after which no task ran in time, or while which health was not red. */
export async function cutRun(options: CutOptions): Promise<CutReport> {
  const { away, cuts, hole, kinds = CUTS, onCut, server, until: end = Infinity } = options;
  const cover = new Coverage("A01 cuts", [...kinds, "red while out of reach"]);
  await using rig = await bench(server);
  const { proxy, sender } = rig;
  const runs = new Map<number, number>();
  rig.app.task("cut.probe", (number: number) => void runs.set(number, (runs.get(number) ?? 0) + 1));
  const { ended, worker } = await rig.work({ silenceLimit: `${SILENCE}ms` });

  /** From now on a task must run in time. */
  async function probe(number: number, what: string): Promise<number> {
    const back = performance.now();
    await sender.sendTask("cut.probe", { args: [number], retry: "unknown" });
    await until(() => runs.has(number) || ended() !== undefined, {
      what: `a task after cut ${number} (${what})`,
      deadline: LIMIT,
      seen: () => JSON.stringify(worker.health()),
    });
    if (ended() !== undefined) throw new Error(`the worker ended after ${what}`, { cause: ended() });
    await until(() => worker.health().healthy, {
      what: `green health after cut ${number} (${what})`,
      deadline: LIMIT,
      seen: () => JSON.stringify(worker.health()),
    });
    const took = performance.now() - back;
    onCut?.(`${number} ${what}: ${took.toFixed(0)} ms`);
    return took;
  }

  /** The broker is out of reach for `ms`: health turns red, and stays so. */
  async function outOfReach(ms: number): Promise<void> {
    const gone = performance.now();
    await until(() => !worker.health().healthy, { what: "red health", deadline: SILENCE + 2000 });
    await pause(Math.max(0, ms - (performance.now() - gone)));
    const { healthy, reasons } = worker.health();
    if (healthy || reasons.length === 0) throw new Error("its health is green while its broker is gone");
    cover.note("red while out of reach");
  }

  await probe(0, "nothing yet");
  let slowest = 0;
  for (let number = 1; number <= cuts && performance.now() < end; number++) {
    const kind = kinds[(number - 1) % kinds.length] ?? CUTS[0];
    // The last task's ack is not what is cut here.
    await pause(200);
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
      case "refused for a while":
        await proxy.refuse(true);
        proxy.cut();
        await outOfReach(hole);
        await proxy.refuse(false);
        break;
      case "three losses in a row":
        for (let loss = 0; loss < 3; loss++) {
          proxy.rst();
          await pause(650);
        }
        break;
      case "restart":
        await server.restart();
        break;
      case "killed, and back after a while":
        await server.kill9();
        await outOfReach(away);
        await server.start();
    }
    slowest = Math.max(slowest, await probe(number, kind));
    cover.note(kind);
    cover.runs++;
  }
  return { cover, slowest, repeated: [...runs.values()].filter((count) => count > 1).length };
}
