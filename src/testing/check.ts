/**
 * Judges a history: what was lost, what came from nowhere, what ran more than once and why, and which rules did not hold.
 *
 * @module
 */
import { type Duration, toMs } from "../lib/duration.ts";
import type { Entry } from "./entry.ts";
import { History } from "./history.ts";
import {
  diedEarly,
  hasExpired,
  i1,
  i2,
  i3,
  isConfirmed,
  isDealtWith,
  once,
  p13,
  startsExplained,
} from "./invariants/fate.ts";
import { type Invariant, pastOf, startsOf, type TaskPast, type Violation } from "./invariants/past.ts";
import { i13, repeats, sent } from "./invariants/publish.ts";
import { i4, i5, i6 } from "./invariants/settlement.ts";
import { carriesOn, i11 } from "./invariants/retry.ts";
import { turnsOf } from "./invariants/turn.ts";
import { i10, i12, i14, i15, i9 } from "./invariants/worker.ts";

/** What a checker is told. */
export interface CheckOptions {
  /** How long a worker may take to consume again once its broker is back; a number is seconds. @default 5 */
  readonly patience?: Duration;
  /** How often any task is retried at most; null is for ever. @default null */
  readonly maxRetries?: number | null;
  /** Whether a repeat of this task's unknown publish was asked for. @default never */
  readonly repeated?: (task: string) => boolean;
}

/** The judgement. Ids of tasks throughout. */
export interface Report {
  /** Whether nothing was lost or came from nowhere, no duplicate is unexplained, and every rule held. */
  readonly ok: boolean;
  /** Published. */
  readonly attempted: number;
  /** Confirmed by the broker. */
  readonly confirmed: number;
  /** Confirmed, and never run: the task, or a retry of it. */
  readonly lost: readonly string[];
  /** Lost with a worker that had acked early and not begun: acking early promises no more. */
  readonly forfeited: readonly string[];
  /** Confirmed, and neither run nor given to a worker before its time in the queue was over. */
  readonly expired: readonly string[];
  /** Run, though never published. */
  readonly unexpected: readonly string[];
  /** Run more than once; a retry is another run, of its own. */
  readonly duplicated: {
    /** As often as faults explain. */
    readonly explained: readonly string[];
    readonly unexplained: readonly string[];
  };
  /** Run, though the sender was never told that the broker has it. */
  readonly recovered: readonly string[];
  /** Which rules did not hold, and where. */
  readonly violations: readonly Violation[];
}

/**
 * Judges a history that is over: what had to be run was run, and the workers have stopped or wait. Pure. Throws `CeleriacError`
 * "history-incomplete" for a history that forgot entries or keeps none, `ConfigurationError` "duration-invalid" for a patience that is none.
 */
export function check(history: History | readonly Entry[], options: CheckOptions = {}): Report {
  const { maxRetries, patience = 5, repeated = () => false } = options;
  const past = pastOf(history instanceof History ? history.whole() : history);
  const rules: readonly Invariant[] = [
    i1,
    i2,
    i3,
    i4,
    i5,
    i6,
    i9(toMs(patience, "patience")),
    i10,
    i11(maxRetries ?? Infinity),
    carriesOn,
    i12,
    i13,
    i14(toMs(patience, "patience")),
    i15,
    once,
    p13,
    sent,
    repeats(repeated),
  ];
  const violations = rules.flatMap((rule) => rule(past));
  const ids = (wanted: (task: TaskPast) => boolean): string[] =>
    [...past.tasks].filter(([, task]) => wanted(task)).map(([id]) => id);
  const turns = (wanted: (turn: TaskPast) => boolean): string[] => ids((task) => turnsOf(task).some(wanted));
  const missing = (turn: TaskPast): boolean => isConfirmed(turn) && !isDealtWith(turn);
  const unexplained = turns((turn) => startsOf(turn) > 1 && startsOf(turn) > startsExplained(turn));
  const report = {
    attempted: ids(({ sendings }) => sendings.length > 0).length,
    confirmed: ids(isConfirmed).length,
    lost: turns((turn) => missing(turn) && !diedEarly(turn) && !hasExpired(turn, past)),
    forfeited: turns((turn) => missing(turn) && diedEarly(turn)),
    expired: turns((turn) => missing(turn) && hasExpired(turn, past)),
    unexpected: ids((task) => startsOf(task) > 0 && task.sendings.length === 0),
    duplicated: {
      explained: turns((turn) => startsOf(turn) > 1).filter((task) => !unexplained.includes(task)),
      unexplained,
    },
    recovered: ids((task) => startsOf(task) > 0 && !isConfirmed(task)),
    violations,
  };
  const bad = report.lost.length + report.unexpected.length + report.duplicated.unexplained.length;
  return { ok: bad + violations.length === 0, ...report };
}

/** What is wrong, a line each. */
export function flaws({ duplicated, lost, unexpected, violations }: Report): readonly string[] {
  const named = (what: string, tasks: readonly string[]): readonly string[] =>
    tasks.length === 0 ? [] : [`${what}: ${tasks.join(", ")}`];
  return [
    ...named("lost", lost),
    ...named("run, though never published", unexpected),
    ...named("run again without a reason", duplicated.unexplained),
    ...violations.map(({ rule, task, says, seq }) =>
      [rule, task, says, seq === undefined ? undefined : `(entry ${seq})`].filter((part) =>
        part !== undefined
      ).join(" ")
    ),
  ];
}
