/**
 * A task in turns: its first message, and each retry. A message of one turn is accounted for in that turn alone, whatever ran in another.
 *
 * @module
 */
import type { Past, TaskPast } from "./past.ts";

/** The task's turns, those of earlier retries first; the faults that name the task may have struck in any of them. */
export function turnsOf(task: TaskPast): readonly TaskPast[] {
  const { doubles, handings, sendings } = task;
  const turns = new Set<number>();
  for (const { published: { retries = 0 } } of sendings) turns.add(retries);
  for (const { delivered: { retries = 0 } } of handings) turns.add(retries);
  if (turns.size <= 1) return [task];
  return [...turns].sort((a, b) => a - b).map((turn) => ({
    ...task,
    sendings: sendings.filter(({ published: { retries = 0 } }) => retries === turn),
    handings: handings.filter(({ delivered: { retries = 0 } }) => retries === turn),
    doubles: doubles.filter((retries) => retries === turn),
  }));
}

/** Each turn of each task, under the task's id. */
export function* eachTurn({ tasks }: Past): Iterable<readonly [task: string, turn: TaskPast]> {
  for (const [task, one] of tasks) for (const turn of turnsOf(one)) yield [task, turn];
}
