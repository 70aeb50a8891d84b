/**
 * Where scenarios of faults are played: what the simulation and real servers have in common, and how what came of it is compared.
 *
 * @module
 */
import type { Celery } from "../../src/app/app.ts";
import type { SendOptions } from "../../src/result/sender.ts";
import { AssertionError } from "../../src/testing/assert.ts";
import { check, type Report } from "../../src/testing/check.ts";
import type { Entry } from "../../src/testing/entry.ts";
import type { Faults } from "../../src/testing/faults/faults.ts";
import type { History } from "../../src/testing/history.ts";

/** A task that is sent. */
export interface Sending {
  readonly task: "early" | "late";
  readonly number: number;
  /** It runs until it is released. */
  readonly held?: boolean;
  /** Behind it comes another task, in a queue of its own. */
  readonly linked?: true;
  /** Its first run asks for a retry, which is due a second later. */
  readonly retried?: true;
  /** s */
  readonly countdown?: number;
  /** s */
  readonly expires?: number;
}

/** What its sender is told. */
export type Sent = "sent" | "unknown" | "refused";

/** Where a scenario is played. */
export interface Stage extends AsyncDisposable {
  readonly fault: Faults;
  readonly history: History;
  /** Sends tasks by the node "client", all at once. */
  sendAll(sendings: readonly Sending[]): Promise<readonly Sent[]>;
  /** What was sent, by number. */
  readonly sendings: ReadonlyMap<number, Sending>;
  /** The id of a task that was sent. */
  idOf(number: number): string;
  /** Starts a worker with one slot, and gives its name: "worker-1" and so on. The last one also does what comes behind other tasks. */
  start(options?: { readonly last?: true }): Promise<string>;
  /** Lets a held task end, wherever it runs. */
  release(number: number): Promise<void>;
  /** Lets time go on until this is so. */
  until(what: string, condition: () => boolean | Promise<boolean>): Promise<void>;
  /** Messages that wait in the broker. */
  waiting(): Promise<number>;
  /** The stored state of a task; "none" where there is none. */
  state(number: number): Promise<string>;
  /** Stops the workers that live. */
  stop(): Promise<void>;
}

/** What a sender is told, of the promise that it has. */
export async function outcomeOf(sent: Promise<unknown>): Promise<Sent> {
  try {
    await sent;
    return "sent";
  } catch (error) {
    const { code = "" } = error as { readonly code?: string };
    const [, outcome] = /^publish-(unknown|refused)$/.exec(code) ?? [];
    if (outcome === undefined) throw error;
    return outcome as Sent;
  }
}

/** The options with which a task is sent. */
export function callOf(
  app: Celery,
  { countdown, expires, held = false, linked, number, retried }: Sending,
  to: {
    readonly taskId: string;
    readonly queues: readonly [own: string, next: string];
  },
): SendOptions {
  const { queues: [queue, next], taskId } = to;
  return {
    args: [number, held, ...(retried === true ? [true] : [])],
    ...{ queue, taskId },
    ...(countdown === undefined ? {} : { countdown }),
    ...(expires === undefined ? {} : { expires }),
    ...(linked === true ? { link: app.signature("next", { queue: next, taskId: nextOf(taskId) }) } : {}),
  };
}

/** Sends one task. */
export async function send(
  stage: Stage,
  task: "early" | "late",
  number: number,
  more: Omit<Sending, "number" | "task"> = {},
): Promise<Sent> {
  const [sent] = await stage.sendAll([{ task, number, ...more }]);
  return sent ?? "unknown";
}

/** How many entries of this kind there are about a task. */
export function seen(stage: Stage, number: number, is: Entry["is"]): number {
  return count(stage.history.entries, stage.idOf(number), is);
}

/** Lets time go on until a worker is in the middle of the task. */
export function began(stage: Stage, number: number, times = 1): Promise<void> {
  return stage.until(`${number} has begun`, () => seen(stage, number, "started") >= times);
}

/** Lets time go on until the task has run so often to its end, its state is stored, and its deliveries are settled. */
export function ran(stage: Stage, number: number, times = 1): Promise<void> {
  const id = stage.idOf(number);
  return stage.until(
    `${number} has run, ${times} times`,
    () =>
      seen(stage, number, "ended") >= times && seen(stage, number, "settled") >= times &&
      stage.history.entries.filter((entry) =>
          entry.is === "stored" && entry.task === id && entry.outcome !== "failed"
        ).length >= times,
  );
}

/** Lets time go on until a worker is dead. */
export function dead(stage: Stage, worker: string): Promise<void> {
  return stage.until(
    `${worker} is dead`,
    () => stage.history.entries.some(({ is, node }) => is === "worker-killed" && node === worker),
  );
}

/** What is the same on every stage. */
export interface Verdict {
  readonly ok: boolean;
  readonly lost: number;
  readonly forfeited: number;
  readonly unexpected: number;
  readonly duplicates: "none" | "explained" | "unexplained";
  readonly recovered: number;
  readonly violations: Report["violations"];
  /** What was done, in alphabetical order. */
  readonly faults: string;
  /** What became of each task, in the order of their numbers. */
  readonly fates: readonly string[];
}

/** What is judged is over; where it is still to come, it is waited for. */
export async function verdictOf(stage: Stage): Promise<Verdict> {
  const { history } = stage;
  // What a dead worker held comes again in a while; where it does not, that is told by the report.
  await stage.until("all is done", async () => {
    const open = history.count("started") > 0 && unended(history.entries) > 0;
    return !open && judged(history).ok && await stage.waiting() === 0;
  }).catch((error: unknown) => {
    // A worker that ended by itself is no wait that took too long.
    if (!(error instanceof AssertionError)) throw error;
  });
  await stage.stop();
  const report = judged(history);
  const { duplicated: { explained, unexplained } } = report;
  const faults = history.entries.flatMap((entry) => entry.is === "fault" ? [entry.fault] : []);
  const fates: string[] = [];
  for (const [number, { linked, task }] of [...stage.sendings].sort(([a], [b]) => a - b)) {
    const next = linked === true
      ? `, next ${count(history.entries, nextOf(stage.idOf(number)), "started")} begun`
      : "";
    const [begun, ended] = [seen(stage, number, "started"), seen(stage, number, "ended")];
    fates.push(`${task}: ${begun} begun, ${ended} ended, ${await stage.state(number)}${next}`);
  }
  return {
    ok: report.ok,
    lost: report.lost.length,
    forfeited: report.forfeited.length,
    unexpected: report.unexpected.length,
    duplicates: unexplained.length > 0 ? "unexplained" : explained.length > 0 ? "explained" : "none",
    recovered: report.recovered.length,
    violations: report.violations,
    faults: [...new Set(faults)].sort().join(" "),
    fates,
  };
}

/** The id of what comes behind a task. */
export function nextOf(id: string): string {
  return `${id}.next`;
}

/** However slow the machine is: a worker that is late is no violation. */
function judged(history: History): Report {
  return check(history, { patience: "10m" });
}

function count(entries: readonly Entry[], id: string, is: Entry["is"]): number {
  return entries.filter((entry) => entry.is === is && "task" in entry && entry.task === id).length;
}

/** Runs that go on. */
function unended(entries: readonly Entry[]): number {
  const open = new Map<number, string>();
  for (const entry of entries) {
    if (entry.is === "started") open.set(entry.delivery, entry.node);
    else if (entry.is === "ended") open.delete(entry.delivery);
    else if (entry.is === "worker-killed") {
      for (const [delivery, node] of open) if (node === entry.node) open.delete(delivery);
    }
  }
  return open.size;
}
