/**
 * A history read once: what became of each publish, delivery and task.
 *
 * @module
 */
import type {
  AbandonedEntry,
  DeliveredEntry,
  DismissedEntry,
  EndedEntry,
  Entry,
  FaultEntry,
  LostEntry,
  PassedEntry,
  PublishedEntry,
  RevokedEntry,
  SettledEntry,
  SettlingEntry,
  StoredEntry,
  StoringEntry,
  ToldEntry,
  VerdictEntry,
} from "../entry.ts";

/** One rule that did not hold. */
export interface Violation {
  /** "I1" to "I15", or the name of a rule of our own. */
  readonly rule: string;
  /** What happened, in a sentence. */
  readonly says: string;
  /** The task that it concerns, where it concerns one. */
  readonly task?: string;
  /** The place of the entry at which it shows, where it shows at one. */
  readonly seq?: number;
}

/** One rule: a pure function of what happened. */
export type Invariant = (past: Past) => readonly Violation[];

/** A publish. */
export interface Sending {
  readonly published: PublishedEntry;
  verdict: VerdictEntry | undefined;
}

/** A delivery. */
export interface Handing {
  readonly delivered: DeliveredEntry;
  lost: LostEntry | undefined;
  readonly settling: SettlingEntry[];
  readonly settled: SettledEntry[];
  accepted: PassedEntry | undefined;
  readonly started: PassedEntry[];
  ended: EndedEntry | undefined;
  dismissed: DismissedEntry | undefined;
  abandoned: AbandonedEntry | undefined;
  /** The place at which its worker was killed, if it was while it held the delivery or after. */
  killed: number | undefined;
}

/** A store. */
export interface Storing {
  readonly storing: StoringEntry;
  stored: StoredEntry | undefined;
}

/** A task. */
export interface TaskPast {
  readonly sendings: Sending[];
  readonly handings: Handing[];
  readonly stores: Storing[];
  /** The faults that name it, once for each time that they do. */
  readonly touches: Touch[];
  /** For each time that a fault doubled it, how many retries came before the message that was doubled: the latest one. */
  readonly doubles: number[];
  readonly revokes: RevokedEntry[];
  /** Coded lines about it. */
  readonly tolds: ToldEntry[];
}

/** What a checker knows. */
export interface Past {
  readonly entries: readonly Entry[];
  /** By id; messages without an id are not among them. */
  readonly tasks: ReadonlyMap<string, TaskPast>;
  readonly handings: ReadonlyMap<number, Handing>;
  readonly sendings: ReadonlyMap<number, Sending>;
  readonly stores: ReadonlyMap<number, Storing>;
  readonly faults: readonly FaultEntry[];
}

/** A fault that names a task. */
export interface Touch {
  /** Its place. */
  readonly seq: number;
  /** "" is every node. */
  readonly node: string;
  /** By node: how often the consuming link had come up when the fault struck. */
  readonly epochs: ReadonlyMap<string, number>;
}

class Reader implements Past {
  readonly entries: readonly Entry[];
  readonly tasks: Map<string, TaskPast> = new Map<string, TaskPast>();
  readonly handings: Map<number, Handing> = new Map<number, Handing>();
  readonly sendings: Map<number, Sending> = new Map<number, Sending>();
  readonly stores: Map<number, Storing> = new Map<number, Storing>();
  readonly faults: FaultEntry[] = [];
  #epochs: ReadonlyMap<string, number> = new Map<string, number>();

  constructor(entries: readonly Entry[]) {
    this.entries = entries;
    for (const entry of entries) this.#read(entry);
  }

  #read(entry: Entry): void {
    switch (entry.is) {
      case "published":
        return this.#published(entry);
      case "delivered":
        return this.#delivered(entry);
      case "storing":
        return this.#storing(entry);
      case "verdict": {
        const sending = this.sendings.get(entry.publish);
        if (sending !== undefined) sending.verdict = entry;
        return;
      }
      case "stored": {
        const store = this.stores.get(entry.store);
        if (store !== undefined) store.stored = entry;
        return;
      }
      case "revoked":
        this.#task(entry.task).revokes.push(entry);
        return;
      case "told":
        if (entry.task !== "") this.#task(entry.task).tolds.push(entry);
        return;
      case "fault":
        this.faults.push(entry);
        for (const id of entry.touches) {
          if (entry.fault === "duplicate") this.#doubled(this.#task(id));
          else this.#task(id).touches.push({ seq: entry.seq, node: entry.node, epochs: this.#epochs });
        }
        return;
      case "link": {
        const { link, node, state } = entry;
        if (link !== "consume" || state !== "up") return;
        this.#epochs = new Map(this.#epochs).set(node, (this.#epochs.get(node) ?? 0) + 1);
        return;
      }
      case "worker-killed":
        for (const handing of this.handings.values()) {
          if (handing.delivered.node === entry.node) handing.killed ??= entry.seq;
        }
        return;
      default:
        if ("delivery" in entry) this.#handled(entry);
    }
  }

  #published(published: PublishedEntry): void {
    const sending: Sending = { published, verdict: undefined };
    this.sendings.set(published.publish, sending);
    if (published.task !== "") this.#task(published.task).sendings.push(sending);
  }

  #delivered(delivered: DeliveredEntry): void {
    const handing: Handing = {
      delivered,
      lost: undefined,
      settling: [],
      settled: [],
      accepted: undefined,
      started: [],
      ended: undefined,
      dismissed: undefined,
      abandoned: undefined,
      killed: undefined,
    };
    this.handings.set(delivered.delivery, handing);
    if (delivered.task !== "") this.#task(delivered.task).handings.push(handing);
  }

  #storing(storing: StoringEntry): void {
    const store: Storing = { storing, stored: undefined };
    this.stores.set(storing.store, store);
    if (storing.task !== "") this.#task(storing.task).stores.push(store);
  }

  #handled(entry: Extract<Entry, { readonly delivery: number }>): void {
    const handing = this.handings.get(entry.delivery);
    if (handing === undefined) return;
    if (entry.is === "settling") handing.settling.push(entry);
    else if (entry.is === "settled") handing.settled.push(entry);
    else if (entry.is === "started") handing.started.push(entry);
    else if (entry.is === "accepted") handing.accepted = entry;
    else if (entry.is === "ended") handing.ended = entry;
    else if (entry.is === "dismissed") handing.dismissed = entry;
    else if (entry.is === "abandoned") handing.abandoned = entry;
    else if (entry.is === "lost") handing.lost = entry;
  }

  #doubled({ doubles, sendings }: TaskPast): void {
    doubles.push(sendings.at(-1)?.published.retries ?? 0);
  }

  #task(id: string): TaskPast {
    let task = this.tasks.get(id);
    if (task === undefined) {
      task = { sendings: [], handings: [], stores: [], touches: [], doubles: [], revokes: [], tolds: [] };
      this.tasks.set(id, task);
    }
    return task;
  }
}

/** Reads a history. */
export function pastOf(entries: readonly Entry[]): Past {
  return new Reader(entries);
}

/** How many messages of the task there may have been in the broker: those that were not certainly left out, and what a fault doubled. */
export function copiesOf({ sendings, doubles }: TaskPast): number {
  const sent = sendings.filter(({ verdict }) =>
    verdict === undefined || /^(confirmed|unknown)$/.test(verdict.verdict)
  );
  return Math.max(1, sent.length + doubles.length);
}

/** How often the task's function was begun. */
export function startsOf({ handings }: TaskPast): number {
  return handings.reduce((sum, { started }) => sum + started.length, 0);
}

/** Whether this delivery was settled so, as far as its worker could tell. */
export function wasSettled({ settled }: Handing, as?: SettledEntry["as"]): boolean {
  return settled.some((one) => one.outcome === "settled" && (as === undefined || one.as === as));
}

/** Whether the broker was to keep it for later, parked or after its run, whatever came of that. */
export function wasPutAside({ settling }: Handing): boolean {
  return settling.some(({ as, later }) => as === "park" || later === true);
}

/** Of a delivery that was to be put aside: the broker could not keep it, or did not say so, and it was still held. */
export function failedToPutAside({ as, outcome }: SettledEntry): boolean {
  return outcome === "failed" && (as === "park" || as === "requeue");
}
