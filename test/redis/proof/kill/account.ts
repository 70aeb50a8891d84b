/**
 * What became of every task, from the records that processes left behind. Pure.
 *
 * @module
 */

/** A process, as it ended. */
export interface Life {
  readonly killed: boolean;
  /** Its record: lines of instant, event and task. */
  readonly record: string;
}

/** What was found. */
export interface Account {
  /** Late tasks that never ran to their end. */
  readonly lost: readonly string[];
  /** Early tasks whose run did not end though no process that received them was killed. */
  readonly lostEarly: readonly string[];
  /** Early tasks whose run did not end, each received by a process that was killed: what early acks allow. */
  readonly cutShort: number;
  /** Runs of late tasks beyond the first. */
  readonly repeated: number;
  /** Runs of early tasks beyond the first. */
  readonly repeatedEarly: number;
  /** Tasks with more runs than kills and lost leases explain. */
  readonly unexplained: readonly string[];
  /** Runs that began after a lease was lost in a living process. */
  readonly leasesLost: number;
  /** Tasks that ran and were never published. */
  readonly phantoms: readonly string[];
  /** Kills by what their process had in hand: nothing, messages not settled, or a late ack just sent. */
  readonly killedAt: Readonly<Record<"idle" | "between claim and settle" | "after a settlement", number>>;
}

interface Past {
  runs: number;
  ended: number;
  /** Killed processes that had received it. */
  died: number;
  /** Runs that a kill or a lost lease explains. */
  excused: number;
  lostLeases: number;
}

/** `late` and `early` are the ids that were published. */
export function account(
  lives: readonly Life[],
  late: ReadonlySet<string>,
  early: ReadonlySet<string>,
): Account {
  const pasts = new Map<string, Past>();
  const pastOf = (task: string): Past => {
    let past = pasts.get(task);
    if (past === undefined) pasts.set(task, past = { runs: 0, ended: 0, died: 0, excused: 0, lostLeases: 0 });
    return past;
  };
  const killedAt = { idle: 0, "between claim and settle": 0, "after a settlement": 0 };
  for (const { killed, record } of lives) {
    const inHand = new Set<string>();
    const own = new Map<string, { runs: number; lost: number }>();
    let last = "";
    for (const line of record.split("\n")) {
      const [, event = "", task = ""] = line.split(" ");
      if (event === "" || event === "ended") continue;
      last = event;
      const past = pastOf(task);
      const mine = own.get(task) ?? { runs: 0, lost: 0 };
      own.set(task, mine);
      if (event === "received") inHand.add(task);
      if (event === "run") {
        past.runs++;
        mine.runs++;
      }
      if (event === "ran") past.ended++;
      if (event === "lost") {
        past.lostLeases++;
        mine.lost++;
      }
      if (event === "settled" || (event === "ran" && early.has(task))) inHand.delete(task);
    }
    // A kill explains one run of each task that it may have left unsettled: an ack that was sent may not have arrived.
    for (const [task, { runs, lost }] of own) {
      const past = pastOf(task);
      past.excused += Math.min(runs, lost + (killed ? 1 : 0));
      past.died += killed ? 1 : 0;
    }
    if (killed) {
      killedAt[
        inHand.size > 0 ? "between claim and settle" : last === "settled" ? "after a settlement" : "idle"
      ]++;
    }
  }
  const none: Past = { runs: 0, ended: 0, died: 0, excused: 0, lostLeases: 0 };
  const of = (task: string): Past => pasts.get(task) ?? none;
  const beyond = (tasks: Iterable<string>): number => {
    let sum = 0;
    for (const task of tasks) sum += Math.max(0, of(task).runs - 1);
    return sum;
  };
  const all = [...late, ...early];
  return {
    lost: [...late].filter((task) => of(task).ended === 0),
    lostEarly: [...early].filter((task) => of(task).ended === 0 && of(task).died === 0),
    cutShort: [...early].filter((task) => of(task).ended === 0 && of(task).died > 0).length,
    repeated: beyond(late),
    repeatedEarly: beyond(early),
    unexplained: all.filter((task) => of(task).runs - of(task).excused > 1),
    leasesLost: all.reduce((sum, task) => sum + of(task).lostLeases, 0),
    phantoms: [...pasts.keys()].filter((task) => !late.has(task) && !early.has(task)),
    killedAt,
  };
}
