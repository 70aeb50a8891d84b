/**
 * Retries: each is the child of one run, and they come to an end.
 *
 * @module
 */
import type { Handing, Invariant, Past, TaskPast, Violation } from "./past.ts";

/** I11: a retry is sent after a run of its own that has ended, once for each; no lineage has more of them than `most`. */
export function i11(most: number): Invariant {
  return ({ tasks }: Past) => [...tasks].flatMap(([task, one]) => flawsOf(task, one, most));
}

function flawsOf(task: string, { handings, sendings }: TaskPast, most: number): Violation[] {
  const found: Violation[] = [];
  const sent = new Map<number, number>();
  for (const { published: { retries = 0, routingKey, seq }, verdict } of sendings) {
    // What is put beside its queue is a copy, no retry.
    if (retries === 0 || routingKey.endsWith(".dead")) continue;
    if (retries > most) found.push({ rule: "I11", task, says: `retry ${retries} of at most ${most}`, seq });
    // One that was refused is sent again, or its run is repeated.
    if (verdict?.verdict !== "confirmed") continue;
    const count = (sent.get(retries) ?? 0) + 1;
    sent.set(retries, count);
    const runs = handings.filter(({ delivered, ended }) =>
      (delivered.retries ?? 0) === retries - 1 && ended !== undefined && ended.seq < seq
    ).length;
    if (count > runs) {
      const says = `retry ${retries} was sent ${count} times after ${runs} runs before it`;
      found.push({ rule: "I11", task, says, seq });
    }
  }
  return found;
}

/**
 * A run that asked for a retry is acked late when the retry is confirmed, and not before; acked early its retry is sent, or somebody is told.
 * A retry that could not be sent at all has failed its task. RETRY is stored before the retry is sent: after that the next run has the last word.
 */
export function carriesOn({ tasks }: Past): Violation[] {
  const found: Violation[] = [];
  for (const [task, one] of tasks) {
    for (const handing of one.handings) {
      const says = dropped(handing, one) ?? hidden(handing, one);
      if (says !== undefined) found.push({ rule: "retry", task, says, seq: handing.ended?.seq ?? 0 });
    }
  }
  return found;
}

function dropped(handing: Handing, { sendings, stores, tolds }: TaskPast): string | undefined {
  const { abandoned, delivered: { delivery, node, retries = 0 }, ended, killed, settling } = handing;
  if (ended?.outcome !== "retry") return undefined;
  const { late, seq: from } = ended;
  // Acked early, it is its worker's alone, and goes with it.
  if (!late && (abandoned ?? killed) !== undefined) return undefined;
  const ack = late ? settling.find(({ as }) => as === "ack")?.seq : Infinity;
  if (ack === undefined) return undefined;
  const within = ({ seq }: { readonly seq: number }): boolean => seq > from && seq < ack;
  const isSent = sendings.some(({ published, verdict }) =>
    published.node === node && published.retries === retries + 1 && published.seq > from &&
    verdict?.verdict === "confirmed" && within(verdict)
  );
  const hasFailed = stores.some(({ storing }) =>
    storing.node === node && storing.status === "FAILURE" && within(storing)
  );
  const isTold = !late && tolds.some((told) => told.node === node && told.code === "retry-unsent");
  if (isSent || hasFailed || isTold) return undefined;
  return late
    ? `delivery ${delivery} was acked before its retry was confirmed`
    : `the retry of delivery ${delivery} was never sent, and nobody told`;
}

function hidden(handing: Handing, { handings, sendings, stores }: TaskPast): string | undefined {
  const { delivered: { delivery, node, retries = 0 }, ended } = handing;
  if (ended?.outcome !== "retry") return undefined;
  const sent =
    sendings.find(({ published: { node: by, retries: turn, seq } }) =>
      by === node && turn === retries + 1 && seq > ended.seq
    )?.published.seq ?? Infinity;
  const late =
    stores.find(({ storing }) => storing.node === node && storing.status === "RETRY" && storing.seq > sent)
      ?.storing.seq ?? 0;
  // Of several runs on one node it cannot be seen whose store it is.
  const isAnothers = handings.some((other) =>
    other !== handing && other.delivered.node === node && (other.ended?.seq ?? Infinity) < late
  );
  return late === 0 || isAnothers
    ? undefined
    : `RETRY of delivery ${delivery} was stored after its retry was sent`;
}
