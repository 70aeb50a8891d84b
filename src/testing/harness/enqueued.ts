/**
 * The assertions on what was enqueued: those that are meant, and what is said where there are none, or some.
 *
 * @module
 */
import { AssertionError } from "../assert.ts";
import { show } from "../difference.ts";
import { type Match, type Mismatch, mismatches, wanted } from "./match.ts";
import type { Enqueued, Mailbag } from "./sent.ts";

/** As many are listed in a failure. */
const LISTED = 10;

/** The tasks of this name that are like `match`, in the order in which they were sent. */
export function find(bag: Mailbag, name: string | undefined, match: Match): readonly Enqueued[] {
  const fields = wanted(match);
  const found: Enqueued[] = [];
  for (const sent of bag.sent) {
    if ((name !== undefined && sent.name !== name) || sent.isRefused) continue;
    const task = sent.read();
    if (task !== undefined && mismatches(task, fields).length === 0) found.push(task);
  }
  return found;
}

/** The same; throws `CeleriacError` "history-incomplete" where there is none, and some or all that was sent is not kept. */
export function sought(bag: Mailbag, name: string | undefined, match: Match): readonly Enqueued[] {
  const found = find(bag, name, match);
  if (found.length === 0) bag.demandWhole();
  return found;
}

/** Throws where none is like `match`; `replay` ends the message. */
export function demandFound(bag: Mailbag, name: string, match: Match, replay: string): Enqueued {
  const [found] = find(bag, name, match);
  if (found !== undefined) return found;
  const others = find(bag, name, {});
  const nearest = nearestOf(others, match);
  const lines = [`No task ${name}${like(match)} was enqueued.`];
  if (nearest !== undefined) {
    lines.push(`The nearest is ${nearest.task.id}, sent by ${nearest.task.by}:`);
    for (const { field, text } of nearest.mismatches) lines.push(`  ${field}: ${text}`);
  }
  lines.push(...listed(bag), replay);
  throw new AssertionError(lines.join("\n"), {
    actual: nearest === undefined ? others : fieldsOf(match, nearest.mismatches),
    expected: match,
  });
}

/** Throws where some are like `match`. */
export function demandNone(bag: Mailbag, name: string, match: Match, replay: string): void {
  const found = sought(bag, name, match);
  if (found.length === 0) return;
  const lines = [
    `${found.length} task${found.length === 1 ? "" : "s"} ${name}${like(match)} ${
      found.length === 1 ? "was" : "were"
    } enqueued:`,
    ...found.slice(0, LISTED).map((task) => `  ${lineOf(task)}`),
    replay,
  ];
  throw new AssertionError(lines.join("\n"), { actual: found.map((task) => lineOf(task)), expected: [] });
}

/** A task on one line: what it was sent with. */
export function lineOf(task: Enqueued): string {
  const named = Object.entries(task.kwargs).map(([name, value]) => `${name}: ${show(value)}`);
  const isInput = task.args[0] === task.kwargs;
  const given = [...task.args.map((value) => show(value)), ...isInput ? [] : named].join(", ");
  const more = [
    task.queue === undefined ? "no queue" : `queue ${show(task.queue)}`,
    ...task.countdown === undefined ? [] : [`countdown ${task.countdown} s`],
    ...task.priority === 0 ? [] : [`priority ${task.priority}`],
    ...task.retries === 0 ? [] : [`retry ${task.retries}`],
    `by ${task.by}`,
  ];
  return `${task.task}(${given}) ${task.id}, ${more.join(", ")}`;
}

function like(match: Match): string {
  return Object.keys(match).length === 0 ? "" : ` like ${show(match)}`;
}

function nearestOf(
  others: readonly Enqueued[],
  match: Match,
): { readonly task: Enqueued; readonly mismatches: readonly Mismatch[] } | undefined {
  const fields = wanted(match);
  let best: { readonly task: Enqueued; readonly mismatches: readonly Mismatch[] } | undefined;
  for (const task of others) {
    const found = mismatches(task, fields);
    if (best === undefined || found.length < best.mismatches.length) best = { task, mismatches: found };
  }
  return best;
}

/** What was met, in the fields that were asked for: a runner shows the two side by side. */
function fieldsOf(match: Match, found: readonly Mismatch[]): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...match };
  for (const { field, actual } of found) fields[field] = actual;
  return fields;
}

/** All that was enqueued, the latest of it where it is much. */
export function listed(bag: Mailbag): readonly string[] {
  const all = find(bag, undefined, {});
  if (all.length === 0) return ["Nothing was enqueued."];
  const shown = all.slice(-LISTED).map((task) => `  ${lineOf(task)}`);
  const earlier = all.length - shown.length + bag.forgotten;
  return ["Enqueued:", ...earlier === 0 ? [] : [`  ${earlier} before these`], ...shown];
}
