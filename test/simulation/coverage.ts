/**
 * What simulated runs met: a property that never met a class of events has not shown it.
 *
 * @module
 */
import type { Entry } from "../../src/testing/entry.ts";
import { Coverage } from "../support/coverage.ts";
import { KINDS, POINTS } from "./plan.ts";
import type { Outcome } from "./scene.ts";
import { MOST_RETRIES } from "./tasks.ts";

const FAULTS = [
  "cut",
  "drop",
  "freeze",
  "loseAck",
  "loseConfirm",
  "loseDelivery",
  "scatterConfirms",
  "refuse",
  "duplicate",
  "restart",
  "restart dirty",
  "backendDown",
  "skew",
  "kill",
];

/** Each class that must occur. */
export const CLASSES: readonly string[] = [
  ...KINDS.map((kind) => `sent ${kind}`),
  "sent link",
  ...FAULTS.map((fault) => `fault ${fault}`),
  ...POINTS.map((point) => `died at ${point}`),
  "died between",
  "confirmed",
  "refused",
  "unknown",
  "repeated on demand",
  "delivered",
  "redelivered",
  "settled, and again after the broker's death",
  "lost while waiting",
  "lost while running",
  "settled ack",
  "settled reject",
  "settled requeue",
  "stale ack",
  "stale reject",
  "stale requeue",
  "settled park",
  "stale park",
  "failed park",
  "failed requeue",
  "retried",
  "retry confirmed",
  "retry refused",
  "retry unknown",
  "retry could not be sent",
  "retries used up",
  "one retry sent twice, after two runs",
  "sent with an ETA",
  "expired in a worker",
  "expired in its queue",
  "stored",
  "kept",
  "store failed",
  "prefetch changed",
  "worker stopped and started again",
  "run twice, explained",
  "forfeited by an early ack",
  "recovered: unknown, and run",
];

/** A coverage of these classes. */
export function newCoverage(): Coverage {
  return new Coverage("simulation", CLASSES);
}

/** Counts what one run met. */
export function count(coverage: Coverage, { history, report }: Outcome): void {
  coverage.runs++;
  const running = new Set<number>();
  const started = new Set<string>();
  for (const entry of history) countEntry(coverage, entry, running, started);
  countRetries(coverage, history);
  countUndone(coverage, history);
  coverage.note("run twice, explained", true, report.duplicated.explained.length);
  coverage.note("forfeited by an early ack", true, report.forfeited.length);
  coverage.note("expired in its queue", true, report.expired.length);
  coverage.note("recovered: unknown, and run", true, report.recovered.length);
  const unknown = new Set<string>();
  for (const entry of history) {
    if (entry.is === "verdict" && entry.verdict === "unknown") unknown.add(entry.task);
    coverage.note("repeated on demand", entry.is === "published" && unknown.has(entry.task));
  }
}

/** What the broker had heard and not written down when it died. */
function countUndone(coverage: Coverage, history: Iterable<Entry>): void {
  const held = new Map<number, string>();
  const settled = new Set<string>();
  const undone = new Set<string>();
  for (const entry of history) {
    if (entry.is === "delivered") {
      coverage.note("settled, and again after the broker's death", undone.delete(entry.task));
      held.set(entry.delivery, entry.task);
    } else if (entry.is === "lost") held.delete(entry.delivery);
    else if (entry.is === "settled") {
      if (entry.outcome === "settled" && /^(ack|reject)$/.test(entry.as)) settled.add(entry.task);
      held.delete(entry.delivery);
    } else if (entry.is === "fault" && entry.detail === "dirty") {
      const others = new Set(held.values());
      for (const task of entry.touches) if (settled.has(task) && !others.has(task)) undone.add(task);
    }
  }
}

function countRetries(coverage: Coverage, history: Iterable<Entry>): void {
  /** By publish, and by delivery. */
  const retries = new Map<number, number>();
  const turns = new Map<number, number>();
  const confirmed = new Set<string>();
  for (const entry of history) {
    if (entry.is === "published" && entry.retries !== undefined) retries.set(entry.publish, entry.retries);
    else if (entry.is === "delivered") turns.set(entry.delivery, entry.retries ?? 0);
    else if (entry.is === "told") coverage.note("retry could not be sent", entry.code === "retry-unsent");
    else if (entry.is === "ended") {
      coverage.note("retried", entry.outcome === "retry");
      const isLast = turns.get(entry.delivery) === MOST_RETRIES;
      coverage.note("retries used up", isLast && entry.outcome === "failure");
    } else if (entry.is === "verdict" && retries.has(entry.publish)) {
      if (!/^(confirmed|refused|unknown)$/.test(entry.verdict)) continue;
      coverage.note(`retry ${entry.verdict}`);
      if (entry.verdict !== "confirmed") continue;
      const which = `${entry.task} ${retries.get(entry.publish)}`;
      coverage.note("one retry sent twice, after two runs", confirmed.has(which));
      confirmed.add(which);
    }
  }
}

function countEntry(coverage: Coverage, entry: Entry, running: Set<number>, started: Set<string>): void {
  switch (entry.is) {
    case "published":
      coverage.note("sent with an ETA", entry.eta !== undefined);
      return coverage.note(`sent ${entry.name}`);
    case "verdict":
      return entry.verdict === "unsent" || entry.verdict === "unroutable"
        ? undefined
        : coverage.note(entry.verdict);
    case "delivered":
      coverage.note("delivered");
      return coverage.note("redelivered", entry.redelivered);
    case "started":
      return void running.add(entry.delivery);
    case "lost":
      return coverage.note(running.has(entry.delivery) ? "lost while running" : "lost while waiting");
    case "settled":
      return coverage.note(`${entry.outcome} ${entry.as}`);
    case "dismissed":
      return coverage.note("expired in a worker", entry.why === "expired");
    case "stored":
      return coverage.note(entry.outcome === "failed" ? "store failed" : entry.outcome);
    case "window":
      return coverage.note("prefetch changed", !entry.stands);
    case "worker-started":
      coverage.note("worker stopped and started again", started.has(entry.node));
      return void started.add(entry.node);
    case "fault":
      return countFault(coverage, entry);
    default:
      return undefined;
  }
}

function countFault(coverage: Coverage, entry: Extract<Entry, { readonly is: "fault" }>): void {
  const { fault, detail } = entry;
  // What its links held is told of in entries of their own.
  if (/^(heal|thaw|backendUp)$/.test(fault) || detail === "off" || detail === "held") return;
  coverage.note(detail === "dirty" ? "fault restart dirty" : `fault ${fault}`);
  if (fault === "kill") {
    coverage.note(detail === "" ? "died between" : `died at ${detail}`);
  }
}
