/**
 * What a worker holds, and what is left when it has stopped.
 *
 * @module
 */
import type { Entry } from "../entry.ts";
import type { Handing, Past, Violation } from "./past.ts";
import { eachTurn } from "./turn.ts";
import { freeSince, mostSkew, skewAt } from "./spans.ts";

/** I12: a worker that has stopped holds nothing, runs nothing and does nothing. */
export function i12(past: Past): Violation[] {
  const found: Violation[] = [];
  const stopped = new Set<string>();
  for (const entry of past.entries) {
    if (entry.is === "worker-started") stopped.delete(entry.node);
    else if (entry.is === "worker-stopped") {
      stopped.add(entry.node);
      for (const handing of past.handings.values()) {
        const says = leftOver(handing, entry.node, entry.seq);
        if (says === undefined) continue;
        found.push({ rule: "I12", task: handing.delivered.task, says, seq: entry.seq });
      }
    } else if (stopped.has(entry.node) && isWork(entry)) {
      const says = `${entry.node} has stopped, and then: ${entry.is}`;
      found.push({ rule: "I12", task: entry.task, says, seq: entry.seq });
    }
  }
  return found;
}

function isWork(entry: Entry): entry is Extract<Entry, { readonly task: string }> {
  return /^(delivered|accepted|started|settling|storing)$/.test(entry.is);
}

function leftOver(
  { delivered, started, ended, abandoned, settling, lost, killed }: Handing,
  node: string,
  at: number,
): string | undefined {
  if (delivered.node !== node || delivered.seq > at || (killed !== undefined && killed < at)) {
    return undefined;
  }
  const done = (one: { readonly seq: number } | undefined): boolean => one !== undefined && one.seq < at;
  const number = `${node} has stopped with delivery ${delivered.delivery}`;
  if (!done(settling[0]) && !done(lost)) return `${number} unsettled`;
  return started.length > 0 && !done(ended) && !done(abandoned) ? `${number} running` : undefined;
}

/**
 * I9: a task that is revoked does not begin at a worker that has heard of it, and none is refused as revoked that is not. Redelivered it
 * does not begin anywhere, once the backend keeps the revoke for as long as an answer takes (`patience` ms).
 */
export function i9(patience: number): (past: Past) => Violation[] {
  return (past) => {
    const found: Violation[] = [];
    for (const [task, { handings, revokes }] of past.tasks) {
      for (const { delivered: { node, delivery, redelivered, at: came }, dismissed, started } of handings) {
        const tell = (says: string, seq: number): void =>
          void found.push({ rule: "I9", task, says: `delivery ${delivery} ${says}`, seq });
        const heard = (seq: number): boolean =>
          revokes.some((revoke) => revoke.by === "worker" && revoke.node === node && revoke.seq < seq);
        const kept = redelivered && revokes.some(({ by, at }) => by === "backend" && at + patience < came);
        for (const { seq } of started) if (heard(seq) || kept) tell("began after it was revoked", seq);
        if (dismissed?.why === "revoked" && !revokes.some(({ seq }) => seq < dismissed.seq)) {
          tell("was refused as revoked, and nobody revoked it", dismissed.seq);
        }
      }
    }
    return found;
  };
}

/** I10, as far as it can be: a task whose time is over by its worker's clock does not begin. Nor does one before its ETA. */
export function i10(past: Past): Violation[] {
  const found: Violation[] = [];
  for (const [task, { handings, sendings }] of eachTurn(past)) {
    const [first] = sendings;
    if (first === undefined) continue;
    const { expires = Infinity } = first.published;
    // Which of several messages this is cannot be seen: two runs of a task whose ack was lost each sent a retry with a wait of its own.
    const eta = Math.min(...sendings.map(({ published }) => published.eta ?? -Infinity));
    for (const { delivered: { node, delivery, seq: from }, started } of handings) {
      for (const { at, seq } of started) {
        const tell = (rule: string, says: string): void =>
          void found.push({ rule, task, says: `delivery ${delivery} ${says}`, seq });
        if (at + skewAt(past, node, seq) > expires) tell("I10", `began ${at - expires} ms after it expired`);
        if (at + mostSkew(past, node, from, seq) < eta) tell("eta", `began ${eta - at} ms before its time`);
      }
    }
  }
  return found;
}

/**
 * I14: a worker whose consuming link went consumes again within `patience` ms of the moment at which it can.
 */
export function i14(patience: number): (past: Past) => Violation[] {
  return (past) => {
    const found: Violation[] = [];
    const down = new Map<string, Entry>();
    const working = new Set<string>();
    const last = past.entries.at(-1);
    const judge = (node: string, since: Entry, until: Entry): void => {
      const from = Math.max(since.at, freeSince(past, node, until.seq));
      const took = until.at - from;
      if (took <= patience) return;
      found.push({ rule: "I14", says: `${node} did not consume for ${took} ms`, seq: until.seq });
    };
    for (const entry of past.entries) {
      const { node } = entry;
      const since = down.get(node);
      if (entry.is === "worker-started") working.add(node);
      if (entry.is === "link" && entry.link === "consume") {
        if (entry.state === "down" && since === undefined && working.has(node)) down.set(node, entry);
        if (entry.state !== "up" || since === undefined) continue;
      } else if (entry.is === "worker-stopped" || entry.is === "worker-killed") working.delete(node);
      else continue;
      if (since !== undefined && entry.is !== "worker-killed") judge(node, since, entry);
      down.delete(node);
    }
    for (const [node, since] of down) {
      const free = !past.faults.some(({ fault, node: whose, seq }) =>
        (fault === "cut" || fault === "freeze") && (whose === "" || whose === node) &&
        !past.faults.some((end) => end.seq > seq && /^(heal|thaw)$/.test(end.fault))
      );
      if (last !== undefined && free) judge(node, since, last);
    }
    return found;
  };
}

/** What is known of one consumer's window. */
interface Window {
  prefetch: number;
  /** The sum of the windows before this one whose deliveries may still be held. */
  before: number;
  /** Since when it alone counts, ms since the epoch. */
  stands: number;
  /** By queue and delivery, when each came. */
  readonly held: Map<string, Map<number, number>>;
}

/**
 * I15: a consumer holds no more of a queue than its prefetch. While a new window settles in, what the old ones hold comes on top, also what
 * lies unread at that instant.
 */
export function i15(past: Past): Violation[] {
  const found: Violation[] = [];
  const windows = new Map<number, Window>();
  for (const entry of past.entries) {
    if (entry.is === "window") {
      const { prefetch, stands, at } = entry;
      const old = windows.get(entry.consumer);
      const window = old ?? { prefetch, before: 0, stands: at, held: new Map<string, Map<number, number>>() };
      if (!stands) window.before += window.prefetch;
      window.prefetch = prefetch;
      window.stands = stands ? at : Infinity;
      windows.set(entry.consumer, window);
    } else if (entry.is === "delivered") {
      const window = windows.get(entry.consumer);
      if (window === undefined) continue;
      settle(window, entry.at);
      const held = window.held.get(entry.queue) ?? new Map<number, number>();
      window.held.set(entry.queue, held.set(entry.delivery, entry.at));
      const most = window.prefetch + window.before;
      if (window.prefetch === 0 || held.size <= most) continue;
      const says = `${entry.node} holds ${held.size} of ${entry.queue}, and asked for ${most}`;
      found.push({ rule: "I15", task: entry.task, says, seq: entry.seq });
    } else if (entry.is === "settling" || entry.is === "lost") {
      const delivered = past.handings.get(entry.delivery)?.delivered;
      if (delivered === undefined) continue;
      windows.get(delivered.consumer)?.held.get(delivered.queue)?.delete(delivered.delivery);
    }
  }
  return found;
}

function settle(window: Window, now: number): void {
  if (now <= window.stands) return;
  const old = [...window.held.values()].some((held) => [...held.values()].some((at) => at <= window.stands));
  if (!old) window.before = 0;
}
