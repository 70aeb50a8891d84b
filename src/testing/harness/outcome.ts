/**
 * What became of a task: its state, its runs, and all that was seen of it.
 *
 * @module
 */
import type { AppInner } from "../../app/inner.ts";
import { RemoteTaskError } from "../../errors.ts";
import { decodeException } from "../../protocol/exception.ts";
import { decodeResult } from "../../protocol/result.ts";
import type { ResultRecord } from "../../backend.ts";
import type { Entry } from "../entry.ts";
import type { History } from "../history.ts";

/** One thing that was seen to happen; which of the fields it has hangs on what it is. */
export interface Sighting {
  /**
   * What: "published", "verdict", "delivered", "accepted", "started", "ended", "followed", "storing", "stored", "settling", "settled",
   * "lost" (the link of a delivery), "dismissed" (a message that is not run), "link", "window" (a prefetch), "told" (a log line with a
   * code), "worker-started", "worker-stopped".
   */
  readonly is: string;
  /** When, ms since the epoch, in the harness's time. */
  readonly at: number;
  /** Its place, from 1. */
  readonly seq: number;
  /** Whose: "client", or a worker's name. */
  readonly node: string;
  /** The task's id. */
  readonly task?: string;
  /** The number of the delivery, from 1; one that comes again has another. */
  readonly delivery?: number;
  /** The queue that it came from. */
  readonly queue?: string;
  /** Whether it was handed out before. */
  readonly redelivered?: boolean;
  /** How it is settled: "ack", "reject", "requeue", "park". */
  readonly as?: string;
  /** The state that is stored. */
  readonly status?: string;
  /** What the broker said of a publish. */
  readonly verdict?: string;
  /** What came of it: of a run "success", "failure", "retry", "ignored" or "rejected". */
  readonly outcome?: string;
}

/** All that was seen to happen, in order; the latest of it where as much is kept as was asked for. */
export interface Sightings extends Iterable<Sighting> {
  /** What is kept, oldest first. */
  readonly entries: readonly Sighting[];
  /** How many there ever were. */
  readonly length: number;
}

/** One run of a task. */
export interface Attempt {
  /** Who ran it. */
  readonly worker: string;
  /** When its function was called, in the harness's time. */
  readonly startedAt: Date;
  /** When that ended; undefined while it runs, and for a run that its worker's death cut short. */
  readonly endedAt: Date | undefined;
  /** How it ended. */
  readonly ended: "success" | "failure" | "retry" | "ignored" | "rejected" | "revoked" | undefined;
}

/** What became of a task. */
export interface Outcome<R = unknown> {
  /** The id of the call. */
  readonly id: string;
  /** The task's name; undefined where nothing was seen of it. */
  readonly task: string | undefined;
  /** The state that is stored; "PENDING" where none is. */
  readonly state: string;
  /** What it gave; undefined unless its state is SUCCESS. */
  readonly result: R | undefined;
  /** Why it failed; undefined unless its state is FAILURE or REVOKED. */
  readonly error: RemoteTaskError | undefined;
  /** Its runs, in the order of their starts. */
  readonly attempts: readonly Attempt[];
  /** How often its message was handed to a worker. */
  readonly deliveries: number;
  /** All that was seen of it, oldest first. */
  readonly timeline: readonly Sighting[];
}

/** The outcome of a task, of what is stored and what was seen. */
export function outcomeOf(
  id: string,
  app: AppInner,
  record: ResultRecord | undefined,
  history: History,
): Outcome<never> {
  const timeline = history.entries.filter((entry) => "task" in entry && entry.task === id);
  const published = timeline.find((entry) => entry.is === "published");
  return {
    id,
    task: published?.name,
    ...storedIn(id, app, record),
    attempts: attemptsIn(timeline),
    deliveries: timeline.filter((entry) => entry.is === "delivered").length,
    timeline,
  };
}

function storedIn(
  id: string,
  { exact, settings }: AppInner,
  record: ResultRecord | undefined,
): Pick<Outcome<never>, "state" | "result" | "error"> {
  if (record === undefined) return { state: "PENDING", result: undefined, error: undefined };
  const { status: state, result, traceback } = decodeResult(record.text, {
    exact,
    limits: settings.contentLimits,
  });
  if (state === "SUCCESS") return { state, result: result as never, error: undefined };
  if (state !== "FAILURE" && state !== "REVOKED") return { state, result: undefined, error: undefined };
  const details = { ...decodeException(result), traceback: traceback ?? undefined };
  const error = new RemoteTaskError(state === "REVOKED" ? "task-revoked" : "task-failed", id, details);
  return { state, result: undefined, error };
}

function attemptsIn(timeline: readonly Entry[]): readonly Attempt[] {
  return timeline.flatMap((start) => {
    if (start.is !== "started") return [];
    const end = timeline.find((entry) => entry.is === "ended" && entry.delivery === start.delivery);
    return [{
      worker: start.node,
      startedAt: new Date(start.at),
      endedAt: end === undefined ? undefined : new Date(end.at),
      ended: end?.is === "ended" ? end.outcome : undefined,
    }];
  });
}
