/**
 * What the sender is told.
 *
 * @module
 */
import type { Past, Sending, Violation } from "./past.ts";
import { isDisturbed, skewAt } from "./spans.ts";

/** I13: each publish has its verdict by its deadline, and a bad one has its reason in a fault. */
export function i13(past: Past): Violation[] {
  const found: Violation[] = [];
  const dead = new Map<string, number>();
  for (const entry of past.entries) if (entry.is === "worker-killed") dead.set(entry.node, entry.seq);
  for (const [publish, sending] of past.sendings) {
    const { published: { node, seq, task } } = sending;
    if ((dead.get(node) ?? 0) > seq && sending.verdict === undefined) continue;
    const says = flawOf(past, sending);
    if (says !== undefined) found.push({ rule: "I13", task, says: `publish ${publish} ${says}`, seq });
  }
  return found;
}

function flawOf(past: Past, { published, verdict }: Sending): string | undefined {
  if (verdict === undefined) return "has no verdict";
  const { deadline = Infinity, node, seq, task } = published;
  const late = verdict.at + skewAt(past, node, verdict.seq) - deadline;
  // A clock that was set meanwhile has moved the deadline, not the timer.
  const set = past.faults.some((fault) =>
    fault.fault === "skew" && fault.seq > seq && fault.seq < verdict.seq
  );
  if (late > 0 && !set) return `had its verdict ${late} ms after its deadline`;
  if (verdict.verdict === "confirmed" || verdict.verdict === "unroutable") return undefined;
  const touched = past.faults.some((fault) =>
    fault.seq > seq && fault.seq < verdict.seq && fault.touches.includes(task)
  );
  // The sender may not know yet that its link is gone.
  const up = past.entries.findLast((entry) =>
    entry.is === "link" && entry.link === "publish" && entry.state === "up" && entry.node === node &&
    entry.seq < seq
  );
  if (touched || isDisturbed(past, node, up?.seq ?? 0, verdict.seq)) return undefined;
  return `came to be ${verdict.verdict} without a fault`;
}

/** A sender is told that a task is sent when the broker has confirmed it, and not otherwise. */
export function sent(past: Past): Violation[] {
  const found: Violation[] = [];
  for (const entry of past.entries) {
    if (entry.is !== "sent") continue;
    const { task, seq, outcome } = entry;
    const confirmed = past.tasks.get(task)?.sendings.some(({ published, verdict }) =>
      published.node === entry.node && verdict?.verdict === "confirmed" && verdict.seq < seq
    ) ?? false;
    if (outcome === "sent" && !confirmed) {
      found.push({ rule: "sent", task, says: "was said to be sent and was not confirmed", seq });
    } else if (outcome === "failed" && confirmed) {
      found.push({ rule: "sent", task, says: "was said to have failed and was confirmed", seq });
    }
  }
  return found;
}

/** An unknown publish is not repeated behind the caller's back; `asked` says whose repeat somebody asked for. */
export function repeats(asked: (task: string) => boolean): (past: Past) => Violation[] {
  return ({ tasks }) => {
    const found: Violation[] = [];
    for (const [task, { sendings }] of tasks) {
      if (asked(task)) continue;
      // A retry is sent until it is there, and so is a copy beside its queue: it would be lost otherwise.
      const own = sendings.filter(({ published: { retries, routingKey } }) =>
        retries === undefined && !routingKey.endsWith(".dead")
      );
      const unknown = own.find(({ verdict }) => verdict?.verdict === "unknown")?.verdict;
      const again = unknown &&
        own.find(({ published }) => published.seq > unknown.seq && published.node === unknown.node);
      if (again === undefined) continue;
      const says = "was published again although nobody knew whether it is in the broker";
      found.push({ rule: "repeat", task, says, seq: again.published.seq });
    }
    return found;
  };
}
