/**
 * What a simulation knows beyond the rules for any history: where each task belongs, and what is stored in the end.
 *
 * @module
 */
import type { History } from "../../src/testing/history.ts";

/** Retries that went to another queue than their task's. */
export function straying(history: History, queueOf: (task: string) => string): string[] {
  const found: string[] = [];
  for (const entry of history) {
    if (entry.is !== "published" || entry.retries === undefined) continue;
    const { exchange, retries, routingKey, task } = entry;
    // Beside its queue stands a copy of a message that came to no end.
    if (exchange === "" && [queueOf(task), `${queueOf(task)}.dead`].includes(routingKey)) continue;
    found.push(
      `retry ${retries} of ${task} went to ${JSON.stringify(exchange)}, ${JSON.stringify(routingKey)}`,
    );
  }
  return found;
}

/** Tasks whose last state is not that to which they came: not SUCCESS, which was stored, or still RETRY, though more was to be heard of them. */
export function misstated(history: History, statusOf: (task: string) => string | undefined): string[] {
  const found: string[] = [];
  const unfinished = unfinishedOf(history);
  const retried = new Set<string>();
  const succeeded = new Set<string>();
  for (const entry of history) {
    if (entry.is !== "stored" || entry.outcome !== "stored") continue;
    if (entry.status === "SUCCESS") succeeded.add(entry.task);
    else if (entry.status === "RETRY") retried.add(entry.task);
  }
  for (const task of succeeded) {
    const kept = statusOf(task);
    if (kept !== "SUCCESS") found.push(`${task} ended in ${kept}, and SUCCESS was stored`);
  }
  for (const task of retried) {
    if (statusOf(task) === "RETRY" && !unfinished.has(task)) found.push(`${task} ended in RETRY`);
  }
  return found;
}

/** Tasks that may end in RETRY: an early ack left one to a worker that died or gave it up, its time was over, or the store of its end failed. */
function unfinishedOf(history: History): Set<string> {
  const tasks = new Set<string>();
  const early = new Map<string, string[]>();
  for (const entry of history) {
    switch (entry.is) {
      case "accepted":
        if (!entry.late) early.set(entry.node, [...early.get(entry.node) ?? [], entry.task]);
        break;
      case "worker-killed":
        for (const task of early.get(entry.node) ?? []) tasks.add(task);
        break;
      case "abandoned":
        tasks.add(entry.task);
        break;
      case "published":
        if (entry.expires !== undefined) tasks.add(entry.task);
        break;
      case "stored":
        if (entry.outcome === "failed" && entry.status !== "RETRY") tasks.add(entry.task);
        break;
      default:
    }
  }
  return tasks;
}
