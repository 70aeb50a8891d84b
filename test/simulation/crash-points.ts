/**
 * What becomes of one task when something goes wrong at one point of its way: played on the fake RabbitMQ, and written down as the table of
 * `docs/guarantees.md`.
 *
 * @module
 */
import type { Point } from "../../src/worker/probe.ts";
import { type Mishap, type Plan, POINTS } from "./plan.ts";
import { play } from "./scene.ts";

/** One row: what happens to a task that runs for a second, or waits for one. */
interface Row {
  readonly name: string;
  readonly mishaps?: readonly Mishap[];
  /** Whether it waits for its time, rather than runs, when it happens. */
  readonly waits?: boolean;
  /** Whether its worker is stopped, half a second after the start. */
  readonly stops?: boolean;
}

const WORKER = 1;
const CLIENT = 0;

const DIES: Readonly<Record<Point, string>> = {
  accepted: "has its slot (4)",
  started: "begins (5)",
  ended: "has run (6)",
  followed: "has its links published (6)",
  stored: "has its result stored (10)",
  beforeSettle: "is about to be acked late (10)",
  afterSettle: "has its late ack written",
};

function kill(at: number, point?: Point, unsent: "arrives" | "lost" = "arrives"): Mishap {
  return { what: "kill", at, hops: 0, node: WORKER, point, after: 0, unsent };
}

const ROWS: readonly Row[] = [
  { name: "nothing" },
  {
    name: "its confirm is lost on the way (0b)",
    mishaps: [{ what: "loseConfirm", at: 0, hops: 0, node: CLIENT }],
  },
  {
    name: "the broker restarts while it waits for its time (1, 3)",
    waits: true,
    mishaps: [{ what: "restart", at: 500, hops: 0, node: CLIENT, dirty: false }],
  },
  {
    name: "the broker dies while it waits for its time (13)",
    waits: true,
    mishaps: [{ what: "restart", at: 500, hops: 0, node: CLIENT, dirty: true }],
  },
  { name: "its worker dies while it waits for its time (2, 3)", waits: true, mishaps: [kill(500)] },
  ...POINTS.map((point): Row => ({
    name: `its worker dies when it ${DIES[point]}`,
    mishaps: [kill(0, point)],
  })),
  {
    name: "its worker dies when it has its slot (4), and an ack not yet written with it",
    mishaps: [kill(0, "accepted", "lost")],
  },
  {
    name: "its worker dies with its late ack not yet written",
    mishaps: [kill(0, "afterSettle", "lost")],
  },
  { name: "its worker dies while it runs (5)", mishaps: [kill(500)] },
  {
    name: "the link is lost while it waits for its time (2, 3)",
    waits: true,
    mishaps: [{ what: "drop", at: 500, hops: 0, node: WORKER, flushed: false }],
  },
  {
    name: "the link is lost while it runs",
    mishaps: [{ what: "drop", at: 500, hops: 0, node: WORKER, flushed: false }],
  },
  {
    name: "the link is lost with its ack on the way",
    mishaps: [{ what: "loseAck", at: 0, hops: 0, node: WORKER }],
  },
  {
    name: "the broker restarts while it runs (13)",
    mishaps: [{ what: "restart", at: 500, hops: 0, node: CLIENT, dirty: false }],
  },
  {
    name: "the broker dies while it runs (13)",
    mishaps: [{ what: "restart", at: 500, hops: 0, node: CLIENT, dirty: true }],
  },
  {
    name: "the backend is out of reach when its result is stored (14)",
    mishaps: [{ what: "backendDown", at: 500, hops: 0, node: WORKER, lasts: 1000 }],
  },
  { name: "its worker is stopped while it runs", stops: true },
  { name: "its worker is stopped while it waits for its time", waits: true, stops: true },
];

function planOf({ mishaps = [], waits = false, stops = false }: Row, kind: "early" | "late"): Plan {
  const send = {
    at: 0,
    kind,
    queue: 0,
    takes: waits ? 0 : 1000,
    countdown: waits ? 1000 : 0,
    expires: 0,
    insists: false,
  };
  const hand = { from: 0, queues: [0], concurrency: 1, multiplier: 1, stops: stops ? 500 : 0, hops: 0 };
  return { seed: 1, sends: [send], hands: [hand], mishaps, picks: [], scatters: false };
}

async function cell(row: Row, kind: "early" | "late"): Promise<string> {
  const { history, problems } = await play(planOf(row, kind));
  if (problems.length > 0) throw new Error(problems.join("\n"));
  let [begun, ended, state] = [0, 0, "no result"];
  for (const entry of history) {
    if (entry.is === "started") begun++;
    else if (entry.is === "ended") ended++;
    else if (entry.is === "stored" && entry.outcome === "stored") state = entry.status;
  }
  const runs = begun === ended ? `${begun} run${begun === 1 ? "" : "s"}` : `${begun} begun, ${ended} ended`;
  return `${runs}, ${state}`;
}

/** The table's rows: what happens, and what becomes of the task acked early and late. */
export async function crashTable(): Promise<
  readonly (readonly [name: string, early: string, late: string])[]
> {
  const rows: [string, string, string][] = [];
  for (const row of ROWS) rows.push([row.name, await cell(row, "early"), await cell(row, "late")]);
  return rows;
}
