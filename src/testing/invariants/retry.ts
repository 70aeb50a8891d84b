/**
 * Retries: each is the child of one run, and they come to an end.
 *
 * @module
 */
import type { Invariant, Past, TaskPast, Violation } from "./past.ts";

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
