/**
 * What a history holds: one entry for each thing that was seen to happen.
 *
 * @module
 */
import type { BrokerEvent, Settlement, Verdict } from "../broker.ts";

/** What every entry says. */
export interface Seen {
  /** When, ms since the epoch, by the clock of the history: skewed clocks of nodes do not show here. */
  readonly at: number;
  /** Its place in the history, from 1. */
  readonly seq: number;
  /** Whose it is: a worker, a client; "" for what befalls all. */
  readonly node: string;
}

/** What an entry of a task says. */
export interface OfTask extends Seen {
  /** The task's id; "" for a message that has none. */
  readonly task: string;
}

/** What an entry of a delivery says. */
export interface OfDelivery extends OfTask {
  /** The number of the delivery, from 1; a redelivery has another. */
  readonly delivery: number;
}

/** A message was handed to a broker. */
export interface PublishedEntry extends OfTask {
  /** What it is. */
  readonly is: "published";
  /** The number of the publish, from 1; a repeat has another. */
  readonly publish: number;
  /** The task's name. */
  readonly name: string;
  /** Where it went, "" for the default exchange. */
  readonly exchange: string;
  /** The key by which it was routed. */
  readonly routingKey: string;
  /** Of the name and the body: what comes out of the broker must have the same. */
  readonly digest: number;
  /** ms since the epoch. */
  readonly eta: number | undefined;
  /** ms since the epoch. */
  readonly expires: number | undefined;
  /** How long it may wait in a queue before the broker drops it, ms. */
  readonly ttl: number | undefined;
  /** How many retries came before it; absent where the message says none. */
  readonly retries?: number;
  /** When the caller gives up, ms since the epoch. */
  readonly deadline: number | undefined;
}

/** What became of a publish. `unsent`: the broker threw, and nothing went out. */
export interface VerdictEntry extends OfTask {
  /** What it is. */
  readonly is: "verdict";
  /** The number of the publish. */
  readonly publish: number;
  /** What the broker said. */
  readonly verdict: Verdict["is"] | "unsent";
}

/** What a sender was told in the end, repeats and all. */
export interface SentEntry extends OfTask {
  /** What it is. */
  readonly is: "sent";
  /** What came of it. */
  readonly outcome: "sent" | "failed";
}

/** A consumer was made, asked for another prefetch, or has got it. */
export interface WindowEntry extends Seen {
  /** What it is. */
  readonly is: "window";
  /** The number of the consumer, from 1. */
  readonly consumer: number;
  /** 0 is unlimited. */
  readonly prefetch: number;
  /** False while the new window overlaps the old one. */
  readonly stands: boolean;
}

/** A message was handed to a consumer. */
export interface DeliveredEntry extends OfDelivery {
  /** What it is. */
  readonly is: "delivered";
  /** The number of the consumer. */
  readonly consumer: number;
  /** Where it came from. */
  readonly queue: string;
  /** Whether it was handed out before. */
  readonly redelivered: boolean;
  /** How many retries came before it; absent where the message says none. */
  readonly retries?: number;
  /** How often the consuming link of this node has come up so far. */
  readonly epoch: number;
  /** Of the name and the body. */
  readonly digest: number;
}

/** The link or lease of an unsettled delivery went. */
export interface LostEntry extends OfDelivery {
  /** What it is. */
  readonly is: "lost";
}

/** A settlement was asked for. */
export interface SettlingEntry extends OfDelivery {
  /** What it is. */
  readonly is: "settling";
  /** How. */
  readonly as: Settlement["as"];
  /** It goes back to its queue, but not at once: the broker keeps a copy meanwhile. Absent otherwise. */
  readonly later?: true;
}

/** What became of it. `failed`: it threw. */
export interface SettledEntry extends OfDelivery {
  /** What it is. */
  readonly is: "settled";
  /** How. */
  readonly as: Settlement["as"];
  /** What came of it. */
  readonly outcome: "settled" | "stale" | "failed";
}

/** A task came to this point of its way through a worker. */
export interface PassedEntry extends OfDelivery {
  /** What it is. */
  readonly is: "accepted" | "started" | "followed";
  /** Whether it is acked late. */
  readonly late: boolean;
}

/** A task's function ended. */
export interface EndedEntry extends OfDelivery {
  /** What it is. */
  readonly is: "ended";
  /** Whether it is acked late. */
  readonly late: boolean;
  /** What came of it. */
  readonly outcome: "success" | "failure" | "retry" | "ignored" | "rejected" | "revoked";
}

/** A worker that stops waited for a task no longer: it went back to its queue, or is lost. */
export interface AbandonedEntry extends OfDelivery {
  /** What it is. */
  readonly is: "abandoned";
}

/** A worker heard that a task is revoked, or this was kept in the backend. */
export interface RevokedEntry extends OfTask {
  /** What it is. */
  readonly is: "revoked";
  /** Where. */
  readonly by: "worker" | "backend";
}

/** A message was not run: expired, not registered, unreadable. */
export interface DismissedEntry extends OfDelivery {
  /** What it is. */
  readonly is: "dismissed";
  /** Why not. */
  readonly why: string;
}

/** A result is on its way to the backend. */
export interface StoringEntry extends OfTask {
  /** What it is. */
  readonly is: "storing";
  /** The number of the store, from 1. */
  readonly store: number;
  /** The state. */
  readonly status: string;
}

/** The backend answered. `kept`: SUCCESS was there already. `failed`: it threw. */
export interface StoredEntry extends OfTask {
  /** What it is. */
  readonly is: "stored";
  /** The number of the store. */
  readonly store: number;
  /** The state. */
  readonly status: string;
  /** What came of it. */
  readonly outcome: "stored" | "kept" | "failed";
}

/** A log line that has a code: trouble that somebody was told of. */
export interface ToldEntry extends OfTask {
  /** What it is. */
  readonly is: "told";
  /** The code of the line. */
  readonly code: string;
}

/** News of a link. */
export interface LinkEntry extends Seen {
  /** What it is. */
  readonly is: "link";
  /** Which link. */
  readonly link: "publish" | "consume" | "both";
  /** What became of it. */
  readonly state: BrokerEvent["is"];
}

/** A worker was started, stopped (its `run()` has ended), or killed (nothing of it is heard any more). */
export interface WorkerEntry extends Seen {
  /** What it is. */
  readonly is: "worker-started" | "worker-stopped" | "worker-killed";
}

/** Something was done to the system on purpose. */
export interface FaultEntry extends Seen {
  /** What it is. */
  readonly is: "fault";
  /** "cut", "kill", "backend-down", …: what the fault's method is called. */
  readonly fault: string;
  /**
   * The tasks that may run once more, or whose publish may be in doubt, because of it; one that may run twice more stands here twice.
   */
  readonly touches: readonly string[];
  /** More about it: the point of a kill, the ms of a skew; "held" where it tells what a broken link held. */
  readonly detail: string;
}

/** One thing that happened. */
export type Entry =
  | PublishedEntry
  | VerdictEntry
  | SentEntry
  | WindowEntry
  | DeliveredEntry
  | LostEntry
  | SettlingEntry
  | SettledEntry
  | PassedEntry
  | EndedEntry
  | AbandonedEntry
  | RevokedEntry
  | DismissedEntry
  | StoringEntry
  | StoredEntry
  | ToldEntry
  | LinkEntry
  | WorkerEntry
  | FaultEntry;

/** An entry without its place and time. */
export type Unplaced<E> = E extends Entry ? Omit<E, "at" | "seq"> : never;

/** An entry before it has its place and time. */
export type NewEntry = Unplaced<Entry>;
