/**
 * When a delivery is settled, and what must have happened before.
 *
 * @module
 */
import {
  failedToPutAside,
  type Handing,
  type Past,
  type Storing,
  type TaskPast,
  type Violation,
  wasPutAside,
} from "./past.ts";

/** I4: a delivery is settled once, and not after its link went; nor does what waits begin then. */
export function i4(past: Past): Violation[] {
  const found: Violation[] = [];
  for (const handing of past.handings.values()) {
    const { delivered: { delivery, task }, lost, settling, settled, started } = handing;
    const tell = (says: string, seq: number): void =>
      void found.push({ rule: "I4", task, says: `delivery ${delivery} ${says}`, seq });
    // What failed, since the broker could not keep a copy for later, leaves the delivery held: it may be settled in another way.
    const tries = settling.length - (wasPutAside(handing) ? settled : []).filter(failedToPutAside).length;
    if (tries > 1) tell(`was settled ${settling.length} times`, settling[1]?.seq ?? 0);
    if (lost === undefined) continue;
    for (const { seq, outcome } of settled) {
      if (seq > lost.seq && outcome === "settled") tell("was settled after its link was lost", seq);
    }
    // What begins at the instant of the loss has not waited.
    for (const { at, seq } of started) if (at > lost.at) tell("began after its link was lost", seq);
  }
  return found;
}

/** I6: a late ack comes after the run has ended and its result was stored, and a store that failed was told of. */
export function i6(past: Past): Violation[] {
  const found: Violation[] = [];
  for (const [task, one] of past.tasks) {
    for (const handing of one.handings) {
      const flaw = lateFlaw(handing, one, past);
      if (flaw !== undefined) found.push({ rule: "I6", task, ...flaw });
    }
    for (const { storing: { node, seq, status }, stored } of one.stores) {
      if (stored?.outcome !== "failed") continue;
      // Repeats of one store are told of once: when it first failed, or when it was not even tried since others had failed.
      const told = past.entries.some((entry) =>
        entry.is === "told" && entry.code === "result-store-failed" && entry.task === task &&
        entry.node === node
      );
      if (!told) found.push({ rule: "I6", task, says: `the loss of its ${status} was not told`, seq });
    }
  }
  return found;
}

function lateFlaw(
  handing: Handing,
  task: TaskPast,
  past: Past,
): { readonly says: string; readonly seq: number } | undefined {
  const { delivered, accepted, dismissed, ended, settling } = handing;
  const { delivery, node } = delivered;
  const ack = settling.find(({ as }) => as !== "requeue" && as !== "park");
  // What is put aside, or has succeeded before, has its slot and does not run.
  if (accepted?.late !== true || ack === undefined || dismissed !== undefined) return undefined;
  const { seq } = ack;
  if (ended === undefined || ended.seq > seq) {
    return { says: `delivery ${delivery} was settled before it ended`, seq };
  }
  // Two runs of one task on one node: whose store it is cannot be seen.
  if (task.handings.filter((other) => other.delivered.node === node).length > 1) return undefined;
  // A store that failed, and was told of, is repeated beside the ack.
  const told = past.entries.some((entry) =>
    entry.is === "told" && entry.code === "result-store-failed" && entry.task === delivered.task &&
    entry.node === node && entry.seq > ended.seq && entry.seq < seq
  );
  if (told) return undefined;
  const late = task.stores.find((store) => isLate(store, node, ended.seq, seq));
  return late &&
    { says: `delivery ${delivery} was settled before its ${late.storing.status} was stored`, seq };
}

function isLate({ storing, stored }: Storing, node: string, from: number, ack: number): boolean {
  return storing.node === node && storing.seq > from && (stored === undefined || stored.seq > ack);
}

/** I5: SUCCESS is final. */
export function i5(past: Past): Violation[] {
  const found: Violation[] = [];
  for (const [task, { stores }] of past.tasks) {
    const first = stores.find(({ storing, stored }) =>
      storing.status === "SUCCESS" && stored?.outcome === "stored"
    );
    const done = first?.stored?.seq ?? Infinity;
    for (const { storing: { seq, status }, stored } of stores) {
      if (seq > done && stored?.outcome === "stored" && status !== "SUCCESS") {
        found.push({ rule: "I5", task, says: `${status} was stored over SUCCESS`, seq });
      }
    }
  }
  return found;
}
