/**
 * Faults that last: from when to when a node could not speak, and by how much its clock was wrong.
 *
 * @module
 */
import type { FaultEntry } from "../entry.ts";
import type { Past } from "./past.ts";

/** What ends each fault that lasts. */
const ENDS: Readonly<Record<string, string>> = {
  cut: "heal",
  freeze: "thaw",
};

function concerns(fault: FaultEntry, node: string): boolean {
  return fault.node === "" || fault.node === node;
}

/** Whether, between two places of the history, a fault was at work on this node's link, or a passing one struck it. */
export function isDisturbed(past: Past, node: string, from: number, to: number): boolean {
  const open = new Set<string>();
  for (const fault of past.faults) {
    if (fault.seq > to) break;
    if (!concerns(fault, node)) continue;
    for (const [begin, end] of Object.entries(ENDS)) if (fault.fault === end) open.delete(begin);
    if (fault.fault === "cut" || fault.fault === "freeze") open.add(fault.fault);
    if (
      fault.seq >= from &&
      /^(cut|drop|freeze|heal|thaw|restart|loseAck|loseConfirm|loseDelivery)$/.test(fault.fault)
    ) {
      return true;
    }
    if (fault.seq >= from && open.size > 0) return true;
  }
  return open.size > 0;
}

/** When the link of this node could be used again at last, ms since the epoch, looking from this place of the history back. */
export function freeSince(past: Past, node: string, seq: number): number {
  const last = past.faults.findLast((fault) =>
    fault.seq < seq && concerns(fault, node) &&
    /^(heal|thaw|restart|drop|loseAck|loseConfirm|loseDelivery)$/.test(fault.fault)
  );
  return last?.at ?? -Infinity;
}

/** By how many ms the node's clock was ahead at this place of the history. */
export function skewAt(past: Past, node: string, seq: number): number {
  const last = past.faults.findLast((fault) =>
    fault.fault === "skew" && concerns(fault, node) && fault.seq < seq
  );
  return last === undefined ? 0 : Number(last.detail);
}

/** The largest of those between two places. */
export function mostSkew(past: Past, node: string, from: number, to: number): number {
  const within = past.faults.filter((fault) =>
    fault.fault === "skew" && concerns(fault, node) && fault.seq >= from && fault.seq < to
  );
  return Math.max(skewAt(past, node, from), ...within.map(({ detail }) => Number(detail)));
}
