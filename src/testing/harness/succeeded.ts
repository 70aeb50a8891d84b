/**
 * The assertions on what has succeeded: the state that is stored of a call, and what is said where it is another one.
 *
 * @module
 */
import { type AppInner, innerOf } from "../../app/inner.ts";
import { decodeException } from "../../protocol/exception.ts";
import { decodeResult } from "../../protocol/result.ts";
import { AssertionError } from "../assert.ts";
import { find, lineOf, listed } from "./enqueued.ts";
import type { Lab } from "./lab.ts";
import type { Enqueued } from "./sent.ts";

/** As many are listed in a failure. */
const LISTED = 10;

/** What may have succeeded: some call of a task, or one call by its id. */
export type Call = string | { readonly id: string } | { readonly name: string };

/** One call, and how it fares. */
interface Fate {
  readonly state: string;
  /** The call and its state on one line. */
  readonly line: string;
}

/** Throws unless SUCCESS is stored: of this call, or of one call of this task. */
export function demandSucceeded(lab: Lab, call: Call): void {
  const fates = fatesOf(lab, call);
  if (fates.some(({ state }) => state === "SUCCESS")) return;
  const isTask = typeof call === "object" && !("id" in call);
  const lines = [
    isTask ? `No call of task ${call.name} has succeeded.` : `Task ${idOf(call)} has not succeeded.`,
  ];
  if (fates.length > 0) lines.push(...fates.slice(-LISTED).map(({ line }) => `  ${line}`));
  else lines.push("It was not enqueued.", ...listed(lab.bag));
  const states = fates.map(({ state }) => state);
  throw new AssertionError([...lines, lab.replay].join("\n"), {
    actual: isTask ? states : states[0],
    expected: isTask ? ["SUCCESS"] : "SUCCESS",
  });
}

/** Throws where SUCCESS is stored: of this call, or of one call of this task. */
export function demandNoSuccess(lab: Lab, call: Call): void {
  const done = fatesOf(lab, call).filter(({ state }) => state === "SUCCESS");
  if (done.length === 0) {
    // One call is known by its id; that it was no call of a task, only by what was sent.
    if (typeof call === "object" && !("id" in call)) lab.bag.demandWhole();
    return;
  }
  const lines = [
    done.length === 1 ? "It has succeeded:" : `${done.length} calls have succeeded:`,
    ...done.slice(-LISTED).map(({ line }) => `  ${line}`),
    lab.replay,
  ];
  throw new AssertionError(lines.join("\n"), { actual: done.map(({ line }) => line), expected: [] });
}

function fatesOf(lab: Lab, call: Call): readonly Fate[] {
  const byTask = typeof call === "object" && !("id" in call);
  const sent = find(lab.bag, byTask ? call.name : undefined, byTask ? {} : { id: idOf(call) });
  // A retry is the same call once more: the one that was sent last says how it fares.
  const calls = new Map(sent.map((task) => [task.id, task]));
  if (calls.size > 0 || byTask) return [...calls.values()].map((task) => fateOf(lab, task.id, task));
  return lab.simulator.store.get(idOf(call)) === undefined ? [] : [fateOf(lab, idOf(call), undefined)];
}

function fateOf({ app, simulator }: Lab, id: string, task: Enqueued | undefined): Fate {
  const inner = innerOf(app);
  const record = simulator.store.get(id);
  const state = record?.status ?? "PENDING";
  const call = task === undefined ? id : lineOf(task);
  const more = record === undefined ? pending(inner, task, simulator.now) : failed(inner, record.text, state);
  return { state, line: `${call}: ${state}${more}` };
}

function pending(app: AppInner, task: Enqueued | undefined, now: number): string {
  if (task?.eta !== undefined && task.eta.getTime() > now) return `, due at ${task.eta.toISOString()}`;
  const ignores = task !== undefined && app.tasks.get(task.task)?.ignoreResult === true;
  return ignores ? ", the task ignores its result: none is stored" : "";
}

function failed(app: AppInner, text: string, state: string): string {
  if (state !== "FAILURE" && state !== "RETRY") return "";
  const { exact, settings: { contentLimits: limits } } = app;
  const { excType, excMessage } = decodeException(decodeResult(text, { exact, limits }).result);
  return `, ${excType}: ${excMessage.map(String).join(", ")}`;
}

function idOf(call: Call): string {
  if (typeof call === "string") return call;
  return "id" in call ? call.id : call.name;
}
