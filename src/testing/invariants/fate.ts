/**
 * What becomes of a message: none is lost, none runs more often than something explains, none comes from nowhere.
 *
 * @module
 */
import {
  copiesOf,
  failedToPutAside,
  type Handing,
  type Past,
  startsOf,
  type TaskPast,
  type Touch,
  type Violation,
  wasPutAside,
  wasSettled,
} from "./past.ts";
import { eachTurn } from "./turn.ts";

/** Whether the broker said that it has the task. */
export function isConfirmed({ sendings }: TaskPast): boolean {
  return sendings.some(({ verdict }) => verdict?.verdict === "confirmed");
}

/** Whether a worker has dealt with it: run it, or found that it is not to be run. */
export function isDealtWith({ handings }: TaskPast): boolean {
  return handings.some((handing) => handing.started.length > 0 || handing.dismissed !== undefined);
}

/** Whether its early ack had left when its worker was killed, and it had not begun: what acking early does not promise (crash point 4). */
export function diedEarly({ handings }: TaskPast): boolean {
  return handings.some(({ accepted, started, settling, killed }) => {
    const ack = settling.find(({ as }) => as === "ack");
    return killed !== undefined && ack !== undefined && ack.seq < killed && started.length === 0 &&
      accepted?.late !== true;
  });
}

/** Whether the broker may have dropped it because it waited for too long. */
export function hasExpired({ sendings }: TaskPast, { entries }: Past): boolean {
  const end = entries.at(-1)?.at ?? 0;
  return sendings.some(({ published: { at, ttl } }) => ttl !== undefined && at + ttl <= end);
}

/**
 * How often it may have begun: once for each message of it, and once more for each fault that struck a delivery of it that began. Whether it
 * had begun when the fault struck is no matter, nor whether it had been read: the broker knows of a broken link before the worker does. A
 * fault that struck while it was parked left two: the copy, and the one whose ack was lost. A park or a requeue for later that failed may have left a copy, too.
 */
export function startsExplained(task: TaskPast): number {
  const begun = task.handings.filter(({ started }) => started.length > 0);
  // What began and went back to its queue begins again without a fault; where it went as a copy and its link was lost, twice.
  const back = begun.filter((handing) => wasSettled(handing, "requeue")).length;
  const spared = task.handings.filter((handing) => handing.started.length > 0 || wasPutAside(handing));
  const { length } = spared;
  for (const touch of task.touches) {
    const struck = spared.findLastIndex((handing) => strikes(touch, handing));
    if (struck >= 0) spared.splice(struck, 1);
  }
  const unsure = task.handings.filter(mayHaveLeftACopy).length;
  return copiesOf(task) + back + unsure + length - spared.length;
}

/** Whether the fault broke the link by which this delivery came. */
function strikes({ node, epochs }: Touch, { delivered }: Handing): boolean {
  return (node === "" || node === delivered.node) && delivered.epoch <= (epochs.get(delivered.node) ?? 0);
}

/** Whether the broker may keep a copy for later, though it did not say so, beside what became of the delivery itself. */
function mayHaveLeftACopy(handing: Handing): boolean {
  const { settled, started } = handing;
  return wasPutAside(handing) &&
    (settled.some(failedToPutAside) || (started.length > 0 && !wasSettled(handing)));
}

/** I1: what is confirmed is run or refused, each message ends settled, and none is acked that was not run. */
export function i1(past: Past): Violation[] {
  const found: Violation[] = [];
  for (const [task, one] of eachTurn(past)) {
    if (isConfirmed(one) && !isDealtWith(one) && !diedEarly(one) && !hasExpired(one, past)) {
      found.push({ rule: "I1", task, says: "was confirmed and never run" });
    }
    for (const handing of one.handings) {
      const says = flawOf(handing, one, past);
      if (says !== undefined) found.push({ rule: "I1", task, says, seq: handing.delivered.seq });
    }
  }
  return found;
}

function flawOf(handing: Handing, task: TaskPast, past: Past): string | undefined {
  const { delivered, lost, settling, started, dismissed, killed } = handing;
  const number = `delivery ${delivered.delivery}`;
  const settled = wasSettled(handing, "ack") || wasSettled(handing, "reject");
  if (settled) {
    const told = started.length > 0 || dismissed !== undefined || killed !== undefined;
    return told ? undefined : `${number} was settled (${settling[0]?.as}) without being run`;
  }
  if (settling.length === 0 && lost === undefined && killed === undefined) {
    return `${number} was never settled`;
  }
  // Its worker died with the settlement under way: it may have come through.
  if (killed !== undefined && settling.length > handing.settled.length) return undefined;
  // Back in its queue: by a requeue, by the loss of its link, or by the death of its worker. The broker may know before the worker does.
  // It may even have taken the message back before the worker read it.
  const since = task.touches.find((touch) => touch.seq < delivered.seq && strikes(touch, handing))?.seq;
  const again = task.handings.some((other) =>
    other !== handing && other.delivered.seq > (since ?? delivered.seq)
  );
  return again || wasParked(handing) || hasExpired(task, past) || wasForgotten(task, past)
    ? undefined
    : `${number} went back to the broker and never came again`;
}

/** Whether nobody was told that the broker has it, and it died without storing: it hands out a message before that is on disk. */
function wasForgotten(task: TaskPast, { faults }: Past): boolean {
  const sent = task.sendings[0]?.published.seq ?? 0;
  return !isConfirmed(task) &&
    faults.some(({ fault, detail, seq }) => fault === "restart" && detail === "dirty" && seq > sent);
}

function wasParked(handing: Handing): boolean {
  return wasSettled(handing, "park");
}

/** I2: acked early, a task begins after its ack and no more often than acks were lost. */
export function i2(past: Past): Violation[] {
  return begun(past, false, "I2").concat(
    [...past.handings.values()].filter(({ started, settled }) =>
      started.some(({ late, seq }) =>
        !late && !settled.some((one) => one.as === "ack" && one.outcome === "settled" && one.seq < seq)
      )
    ).map(({ delivered: { task, delivery }, started }) => ({
      rule: "I2",
      task,
      says: `delivery ${delivery} began without its early ack`,
      seq: started[0]?.seq ?? 0,
    })),
  );
}

/** P13: acked late, a task begins no more often than faults explain. */
export function p13(past: Past): Violation[] {
  return begun(past, true, "P13");
}

function begun(past: Past, late: boolean, rule: string): Violation[] {
  const found: Violation[] = [];
  for (const [task, one] of eachTurn(past)) {
    if (!one.handings.some(({ started }) => started.some((each) => each.late === late))) continue;
    const [starts, most] = [startsOf(one), startsExplained(one)];
    if (starts > most) found.push({ rule, task, says: `began ${starts} times, and ${most} are explained` });
  }
  return found;
}

/** Each delivery begins once at most; each beyond the first of its message is explained by a requeue, a park or a fault. */
export function once(past: Past): Violation[] {
  const found: Violation[] = [];
  for (const [task, one] of eachTurn(past)) {
    for (const { delivered, started } of one.handings) {
      if (started.length < 2) continue;
      const says = `delivery ${delivered.delivery} began ${started.length} times`;
      found.push({ rule: "once", task, says, seq: delivered.seq });
    }
    const requeues = one.handings.filter((handing) => wasSettled(handing, "requeue")).length;
    const copies = one.handings.filter((handing) => wasPutAside(handing) || mayHaveLeftACopy(handing)).length;
    const most = copiesOf(one) + requeues + copies + one.touches.length;
    const { length } = one.handings;
    if (length > most) {
      found.push({ rule: "once", task, says: `was delivered ${length} times, and ${most} are explained` });
    }
  }
  return found;
}

/** I3: nothing is delivered that was not published, and it is what was published. */
export function i3(past: Past): Violation[] {
  const found: Violation[] = [];
  for (const [task, { handings, sendings }] of past.tasks) {
    for (const { delivered } of handings) {
      const { delivery, digest, seq } = delivered;
      const before = sendings.filter(({ published }) => published.seq < seq);
      if (before.length === 0) {
        found.push({ rule: "I3", task, says: `delivery ${delivery} was never published`, seq });
      } else if (!before.some(({ published }) => published.digest === digest)) {
        found.push({ rule: "I3", task, says: `delivery ${delivery} is not what was published`, seq });
      }
    }
  }
  return found;
}
