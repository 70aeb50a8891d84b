/**
 * P18: the final state and settlement of one task for every setting, outcome and crash point, played on the fake RabbitMQ.
 *
 * @module
 */
import { Celery, Ignore, Reject, type Running, type TaskOptions } from "../../mod.ts";
import { check, flaws } from "../../src/testing/check.ts";
import type { Member } from "../../src/testing/faults/member.ts";
import { SimulatedFaults } from "../../src/testing/faults/simulated.ts";
import { History } from "../../src/testing/history.ts";
import { Simulator } from "../../src/testing/simulator/simulator.ts";
import { type Point, withProbe } from "../../src/worker/probe.ts";
import { Worker } from "../../src/worker/worker.ts";
import { POINTS } from "./plan.ts";

/** What settings there are. */
export const SETTINGS = {
  early: { acksLate: false },
  late: { acksLate: true },
  "late, `acksOnFailure: false`": { acksLate: true, acksOnFailure: false },
} as const;

type Setting = keyof typeof SETTINGS;

class Expected extends Error {}

/** What the task does at a worker; its first run is `retries` 0. */
const OUTCOMES: Readonly<Record<string, (task: Running, worker: Worker | undefined) => unknown>> = {
  success: () => "done",
  failure: () => {
    throw new Error("no");
  },
  "expected failure": () => {
    throw new Expected("no");
  },
  "result without a JSON form": () => () => {},
  retry: (task) => task.retries > 0 ? "done" : task.retry({ countdown: 1 }),
  "retries used up": (task) => task.retry({ countdown: 1, maxRetries: 0 }),
  "`Ignore`": () => {
    throw new Ignore();
  },
  "`Reject`": () => {
    throw new Reject("no");
  },
  "`Reject`, requeue": (task) => {
    if (task.delivery.redelivered) return "done";
    throw new Reject("not yet", { requeue: true });
  },
  expired: () => "done",
  "revoked with `terminate`": async (task, worker) => {
    const aborted = new Promise((resolve) => task.signal.addEventListener("abort", resolve));
    void worker?.revoke(task.id, { terminate: true });
    await aborted;
    throw task.signal.reason;
  },
  "soft time limit": async (task) => {
    await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
    throw task.signal.reason;
  },
  "hard time limit": () => new Promise(() => {}),
  "hard time limit, `acksOnTimeout: false`": (task) =>
    task.delivery.redelivered ? "done" : new Promise(() => {}),
};

/** What the declaration says besides, for an outcome that is asked for there. */
const OWN: Readonly<Record<string, TaskOptions>> = {
  "soft time limit": { softTimeLimit: 1 },
  "hard time limit": { timeLimit: 1 },
  "hard time limit, `acksOnTimeout: false`": { timeLimit: 1, acksOnTimeout: false },
};

type Cell = readonly [state: string, runs: number, settled: string];

/** What becomes of the task whose first worker dies at this point. */
async function play(outcome: string, setting: Setting, point: Point | undefined): Promise<Cell> {
  const simulator = new Simulator({ seed: 1 });
  const history = new History({ clock: { now: () => simulator.now } });
  const faults = new SimulatedFaults(simulator, history);
  let worker: Worker | undefined;
  const app = (member: Member): Celery => {
    const { backend, broker, platform } = member;
    const made = new Celery("table", { backend, broker, platform, logger: member.logger({ log: () => {} }) });
    const own = { bind: true, throws: [Expected], ...SETTINGS[setting], ...OWN[outcome] } as const;
    made.task("task", own, (task: Running) => OUTCOMES[outcome]?.(task, worker));
    return made;
  };
  const expiring = outcome === "expired" ? { expires: 1, countdown: 2 } : {};
  void app(faults.member("client")).sendTask("task", { taskId: "t", ...expiring });
  for (let at = 1; at <= 2; at++) {
    const member = faults.member(`worker-${at}`);
    if (at === 1 && point !== undefined) void faults.kill(member.name, { at: point });
    worker = new Worker(app(member), withProbe({ concurrency: 1, blockedLimit: null }, member.probe));
    member.recorder.add({ is: "worker-started" });
    void worker.run();
    await simulator.advance(20_000);
  }
  const report = check(history, { maxRetries: 3 });
  if (!report.ok) throw new Error(`${outcome}, ${setting}, ${point}: ${flaws(report).join("; ")}`);
  return summary(history);
}

function summary(history: History): Cell {
  let [begun, state] = [0, "none"];
  const settled: string[] = [];
  for (const entry of history.entries) {
    if (entry.is === "started") begun++;
    else if (entry.is === "stored" && entry.outcome === "stored") state = entry.status;
    else if (entry.is === "settled" && entry.outcome === "settled") settled.push(entry.as);
  }
  return [state, begun, settled.join(", ") || "nothing"];
}

function written([state, runs, settled]: Cell): string {
  return `${state}, ${runs} begun; ${settled}`;
}

/** The table's rows: the outcome, the points at which the worker dies that make no difference, and what becomes of the task. */
export async function outcomeTable(): Promise<readonly (readonly string[])[]> {
  const rows: (readonly string[])[] = [];
  for (const outcome of Object.keys(OUTCOMES)) {
    const groups: { readonly points: string[]; readonly cells: readonly string[] }[] = [];
    for (const point of [undefined, ...POINTS]) {
      const cells: string[] = [];
      for (const setting of Object.keys(SETTINGS) as Setting[]) {
        cells.push(written(await play(outcome, setting, point)));
      }
      const last = groups.find((group) => group.cells.join() === cells.join());
      if (last === undefined) groups.push({ points: [point ?? "lives"], cells });
      else last.points.push(point ?? "lives");
    }
    for (const { points, cells } of groups) rows.push([outcome, points.join(", "), ...cells]);
  }
  return rows;
}
