/**
 * What became of every task of a soak, from the records that its processes left behind and the log of its faults. Pure.
 *
 * @module
 */
import { followerOf, type Kind } from "./orders.ts";

/** A process, as it ended. */
export interface Life {
  /** The worker whose life it was; its links have that name in the log of faults. */
  readonly name: string;
  /** When it was killed, ms since the epoch. */
  readonly killedAt: number | undefined;
  /** Lines of instant, event and task. */
  readonly record: string;
}

/** One fault. */
export interface Fault {
  readonly kind: string;
  /** Names of the workers that it touched. */
  readonly touches: readonly string[];
  readonly begin: number;
  readonly end: number;
}

/** One task that was sent. */
export interface Sent {
  readonly kind: Kind;
  /** `unknown`: it may be there; `not`: it certainly is not. */
  readonly is: "confirmed" | "unknown" | "not";
  /** ms since the epoch; 0 for none. */
  readonly eta: number;
}

/** What was found. The first five are wrong where they are not empty. */
export interface Account {
  /** Confirmed, and no run came to its end, though nothing allows that. */
  readonly lost: readonly string[];
  /** More runs than faults explain. */
  readonly unexplained: readonly string[];
  /** Ran and was never sent. */
  readonly phantoms: readonly string[];
  /** Began before its ETA. */
  readonly tooEarly: readonly string[];
  /** Ended, and there is neither a result nor a line that says why not. */
  readonly withoutResult: readonly string[];
  /** Early tasks that a kill cut short after their ack: what early acks allow. */
  readonly cutShort: number;
  /** Runs beyond the first, by what explains them. */
  readonly repeats: Readonly<Record<Excuse, number>>;
  /** Links of a `first` that could not be sent, so that it is a failure. */
  readonly unfollowed: number;
  /** Results that could not be stored, each told of. */
  readonly unstored: number;
  readonly runs: number;
}

/** Why a task may run once more. */
export type Excuse = "its worker was killed" | "its delivery was lost" | "its ack was under way";

/** How long a settlement may be under way, or not yet on the broker's disk, ms. */
const UNDER_WAY = 1000;

interface Run {
  readonly life: Life;
  readonly began: number;
  ended: boolean;
  acked: number | undefined;
  lost: boolean;
}

interface Past {
  readonly runs: Run[];
  /** Processes that received it and were killed afterwards. */
  died: number;
  unstored: boolean;
}

/** `states` are the stored ones, by id. */
export function account(
  lives: readonly Life[],
  faults: readonly Fault[],
  sent: ReadonlyMap<string, Sent>,
  states: ReadonlyMap<string, string>,
): Account {
  const pasts = new Map<string, Past>();
  for (const life of lives) read(life, pasts);
  const none: Past = { runs: [], died: 0, unstored: false };
  const pastOf = (id: string): Past => pasts.get(id) ?? none;
  const ended = (id: string): number => pastOf(id).runs.filter((run) => run.ended).length;

  const lost: string[] = [];
  const unexplained: string[] = [];
  const withoutResult: string[] = [];
  const tooEarly: string[] = [];
  const repeats: Record<Excuse, number> = {
    "its worker was killed": 0,
    "its delivery was lost": 0,
    "its ack was under way": 0,
  };
  let cutShort = 0;
  let unfollowed = 0;

  const weigh = (id: string, allowed: number): void => {
    const { runs } = pastOf(id);
    const excuses = runs.map((run) => excuseOf(run, faults)).filter((excuse) => excuse !== undefined);
    const extra = runs.length - allowed;
    if (extra <= 0) return;
    if (excuses.length < extra) unexplained.push(id);
    for (const excuse of excuses.slice(0, extra)) repeats[excuse]++;
  };
  const demand = (id: string): void => {
    if (ended(id) === 0) lost.push(id);
  };

  for (const [id, { eta, is, kind }] of sent) {
    const past = pastOf(id);
    weigh(id, is === "not" ? 0 : 1);
    if (past.runs.some(({ began }) => began < eta)) tooEarly.push(id);
    if (is === "confirmed" && ended(id) === 0) {
      if (kind === "early" && past.died > 0) cutShort++;
      else lost.push(id);
    }
    if (kind === "first") {
      const follower = followerOf(id);
      // Each run that ended has sent it, and under the same id.
      weigh(follower, Math.max(1, ended(id)));
      if (states.get(id) === "SUCCESS") demand(follower);
      else if (ended(id) > 0) unfollowed++;
    }
    const settled = past.runs.some((run) => run.ended && run.acked !== undefined);
    if (kind !== "early" && settled && !states.has(id) && !past.unstored) withoutResult.push(id);
  }
  const known = (id: string): boolean =>
    sent.has(id) || (sent.get(id.replace(/\.\w+$/, ""))?.kind === "first" && id.includes("."));
  const all = [...pasts.values()];
  return {
    lost,
    unexplained,
    phantoms: [...pasts.keys()].filter((id) => !known(id)),
    tooEarly,
    withoutResult,
    cutShort,
    repeats,
    unfollowed,
    unstored: all.filter(({ unstored }) => unstored).length,
    runs: all.reduce((sum, { runs }) => sum + runs.length, 0),
  };
}

function read(life: Life, pasts: Map<string, Past>): void {
  const received = new Set<string>();
  const open = new Map<string, Run>();
  /** Acks whose runs have not begun yet. */
  const early = new Map<string, number>();
  for (const line of life.record.split("\n")) {
    const [at = "", event = "", id = ""] = line.split(" ");
    if (!/^(received|run|ran|acked|lost|stale|unstored)$/.test(event)) continue;
    let past = pasts.get(id);
    if (past === undefined) pasts.set(id, past = { runs: [], died: 0, unstored: false });
    const run = open.get(id);
    if (event === "received") received.add(id);
    else if (event === "unstored") past.unstored = true;
    else if (event === "run") {
      // An early ack leaves before its run begins.
      const next: Run = { life, began: Number(at), ended: false, acked: early.get(id), lost: false };
      early.delete(id);
      past.runs.push(next);
      open.set(id, next);
    } else if (event === "acked" && (run === undefined || run.acked !== undefined)) early.set(id, Number(at));
    else if (run !== undefined) {
      if (event === "ran") run.ended = true;
      else if (event === "acked") run.acked = Number(at);
      else run.lost = true;
    }
  }
  if (life.killedAt === undefined) return;
  for (const id of received) {
    const past = pasts.get(id);
    if (past !== undefined) past.died++;
  }
}

function excuseOf({ acked, began, life, lost }: Run, faults: readonly Fault[]): Excuse | undefined {
  if (life.killedAt !== undefined && (acked === undefined || acked > life.killedAt - UNDER_WAY)) {
    return "its worker was killed";
  }
  if (lost) return "its delivery was lost";
  const at = acked ?? began;
  const underWay = faults.some(({ begin, end, touches }) =>
    touches.includes(life.name) && at >= begin - UNDER_WAY && at <= end + UNDER_WAY
  );
  return underWay ? "its ack was under way" : undefined;
}
