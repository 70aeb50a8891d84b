/**
 * A16 and A07: the broker is restarted in the middle of a task, again and again. The task goes on; its ack is too late, is not sent, and harms no
 * message of the new connection; the broker gives the task out again, flagged. One that was acked early goes on as well, and runs once, its result
 * stored. And the first publish after each restart is confirmed and there,
 * or the sender is told.
 *
 * @module
 */
import { CeleriacError } from "../../src/errors.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import { Coverage } from "../support/coverage.ts";
import type { RabbitServer } from "../support/servers.ts";
import { pause, until } from "../support/wait.ts";
import { bench } from "./bench.ts";

/** What is run. */
export interface RestartOptions {
  readonly server: RabbitServer;
  readonly restarts: number;
  /** No restart comes after this instant of `performance.now()`. */
  readonly until?: number;
  readonly onRestart?: (line: string) => void;
}

/** What came of it. */
export interface RestartReport {
  readonly cover: Coverage;
  /** Publishes right after a restart, by what their senders were told. */
  readonly publishes: Readonly<Record<"confirmed" | "unknown" | "refused", number>>;
}

/** Messages that stand in the new channel where a stale tag would point. */
const NEIGHBOURS = 3;

/** After so long an ack has arrived, and is written, ms. */
const SETTLED = 1000;

/** Throws at the first restart after which something is lost, doubled without a flag, or acked by a stale ack. */
export async function restartRun(
  { onRestart, restarts, server, until: end = Infinity }: RestartOptions,
): Promise<RestartReport> {
  const cover = new Coverage("A16 restarts", [
    "in order",
    "killed",
    "ack too late",
    "second run flagged",
    "acked early, once",
  ]);
  await using rig = await bench(server);
  const flags = new Map<number, boolean[]>();
  const gates = new Map<number, Deferred<void>>();
  // A worker that waited for a task of ours would keep the error from us that ended the run.
  using _opened = { [Symbol.dispose]: () => gates.forEach((gate) => gate.resolve()) };
  const [small, early] = [new Map<string, number>(), new Map<number, number>()];
  rig.app.task("restart.slow", { bind: true, acksLate: true }, async (task, number: number) => {
    flags.set(number, [...flags.get(number) ?? [], task.delivery.redelivered]);
    await gates.get(number)?.promise;
  });
  rig.app.task("restart.early", async (number: number) => {
    early.set(number, (early.get(number) ?? 0) + 1);
    await gates.get(number)?.promise;
    return number;
  });
  rig.app.task("restart.small", { acksLate: true }, (name: string) => {
    small.set(name, (small.get(name) ?? 0) + 1);
  });
  const { ended } = await rig.work({ concurrency: 4 });
  const publishes = { confirmed: 0, unknown: 0, refused: 0 };
  const must: string[] = [];

  for (let number = 1; number <= restarts && performance.now() < end; number++) {
    const gate = deferred<void>();
    gates.set(number, gate);
    await rig.sender.sendTask("restart.slow", { args: [number], retry: "unknown" });
    const once = await rig.sender.sendTask("restart.early", { args: [number], retry: "unknown" });
    await until(() => flags.has(number) && early.has(number), {
      what: `the start of the tasks ${number}`,
      deadline: 30_000,
    });
    // What was acked just before may not be on the broker's disk yet, and would come again by right.
    await pause(SETTLED);
    const how = number % 2 === 0 ? "in order" : "killed";
    if (how === "in order") await server.restart();
    else {
      await server.kill9();
      await server.start();
    }
    // The very first publishes after it, each once.
    const names = Array.from({ length: NEIGHBOURS }, (_, at) => `${number}-${at}`);
    for (const name of names) {
      try {
        await rig.sender.sendTask("restart.small", { args: [name], retry: false });
        publishes.confirmed++;
        must.push(name);
      } catch (error) {
        const unknown = error instanceof CeleriacError && error.code === "publish-unknown";
        publishes[unknown ? "unknown" : "refused"]++;
      }
    }
    await until(() => (flags.get(number)?.length ?? 0) >= 2 || ended() !== undefined, {
      what: `the second run of task ${number}`,
      deadline: 30_000,
      seen: () => rig.lines.slice(-10).join("\n"),
    });
    if (ended() !== undefined) throw new Error("the worker ended", { cause: ended() });
    const late = rig.lines.filter((line) => line.includes("(settlement-stale)")).length;
    gate.resolve();
    await until(() => rig.lines.filter((line) => line.includes("(settlement-stale)")).length > late, {
      what: `the word that the ack of task ${number} came too late`,
      seen: () => rig.lines.slice(-10).join("\n"),
    });
    const seen = flags.get(number) ?? [];
    if (seen[0] !== false || seen.slice(1).some((flag) => !flag)) {
      throw new Error(`task ${number} ran with these flags: ${seen.join(", ")}`);
    }
    await until(() => must.every((name) => small.has(name)), {
      what: "each confirmed task",
      deadline: 30_000,
      seen: () => `not ${must.filter((name) => !small.has(name)).join(", ")}`,
    });
    if (await rig.app.result(once.id).get({ timeout: 10 }) !== number) throw new Error("not its result");
    cover.note("acked early, once", early.get(number) === 1);
    cover.note(how);
    cover.note("ack too late");
    cover.note("second run flagged", seen.length > 1);
    cover.runs++;
    onRestart?.(`${number} ${how}`);
  }
  const again = [...early].filter(([, count]) => count !== 1);
  if (again.length > 0) throw new Error(`acked early, and run again: ${JSON.stringify(again)}`);
  const twice = [...small].filter(([, count]) => count > 1);
  if (twice.length > 0) throw new Error(`ran twice though no link went meanwhile: ${JSON.stringify(twice)}`);
  return { cover, publishes };
}
