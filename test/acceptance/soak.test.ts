/** The judge of the soak: it finds what is wrong, and excuses what a fault explains. */
import { describe, expect, test } from "vitest";
import { account, type Fault, type Life, type Sent } from "../long/soak/account.ts";
import { isFlat, lineThrough, type Sample } from "../long/soak/heap.ts";

const SENT = new Map<string, Sent>([
  ["late-1", { kind: "late", is: "confirmed", eta: 0 }],
  ["early-2", { kind: "early", is: "confirmed", eta: 0 }],
  ["eta-3", { kind: "eta", is: "confirmed", eta: 5000 }],
  ["first-4", { kind: "first", is: "confirmed", eta: 0 }],
]);
const STATES = new Map([...SENT.keys()].map((id) => [id, "SUCCESS"]));
const run = (id: string, at: number): string =>
  `${at} received ${id}\n${at} run ${id}\n${at + 1} ran ${id}\n${at + 2} acked ${id}\n`;
const ALL = run("late-1", 100) +
  "200 received early-2\n200 acked early-2\n200 run early-2\n201 ran early-2\n" +
  run("eta-3", 5000) + run("first-4", 300) + run("first-4.second", 310);

function judge(record: string, more: Partial<Life> = {}, faults: readonly Fault[] = [], sent = SENT) {
  const life: Life = { name: "w1", killedAt: undefined, record, ...more };
  return account([life], faults, sent, STATES);
}

test("all in order is all in order", () => {
  expect(judge(ALL)).toMatchObject({
    ...{
      lost: [],
      unexplained: [],
      phantoms: [],
      tooEarly: [],
      withoutResult: [],
      cutShort: 0,
      unfollowed: 0,
    },
    runs: 5,
  });
});

describe("what is wrong is found", () => {
  test("a task that never ran, or never ended", () => {
    expect(judge(ALL.replaceAll(/^.*late-1\n/gm, "")).lost).toEqual(["late-1"]);
    expect(judge(ALL.replaceAll(/^\d+ (ran|acked) late-1\n/gm, "")).lost).toEqual(["late-1"]);
    expect(judge(ALL.replaceAll(/^.*early-2\n/gm, "")).lost).toEqual(["early-2"]);
  });

  test("a link that was not followed though its task succeeded", () => {
    expect(judge(ALL.replaceAll(/^.*second\n/gm, "")).lost).toEqual(["first-4.second"]);
  });

  test("a second run without a reason; one of a task that was surely not sent; a stranger; one before its ETA", () => {
    expect(judge(ALL + run("late-1", 9000)).unexplained).toEqual(["late-1"]);
    expect(judge(ALL + run("first-4.second", 9000)).unexplained).toEqual(["first-4.second"]);
    const not = new Map(SENT).set("late-5", { kind: "late", is: "not", eta: 0 });
    expect(judge(ALL + run("late-5", 1), {}, [], not).unexplained).toEqual(["late-5"]);
    expect(judge(ALL + run("late-99", 1)).phantoms).toEqual(["late-99"]);
    expect(judge(ALL.replace("5000 run", "4999 run")).tooEarly).toEqual(["eta-3"]);
  });

  test("an end without a result, unless that was told", () => {
    const states = new Map(STATES);
    states.delete("late-1");
    const life: Life = { name: "w1", killedAt: undefined, record: ALL };
    expect(account([life], [], SENT, states).withoutResult).toEqual(["late-1"]);
    const told = { ...life, record: `${ALL}150 unstored late-1\n` };
    expect(account([told], [], SENT, states).withoutResult).toEqual([]);
  });
});

describe("what a fault explains is excused, and counted", () => {
  test("a run in a process that was killed before its ack, or just after it; not long after it", () => {
    const again = ALL + run("late-1", 3000);
    const other: Life = { name: "w2", killedAt: undefined, record: run("late-1", 9000) };
    const of = (killedAt: number) =>
      account([{ name: "w1", killedAt, record: ALL }, other], [], SENT, STATES);
    expect(of(101)).toMatchObject({ unexplained: [], repeats: { "its worker was killed": 1 } });
    expect(of(900)).toMatchObject({ unexplained: [] });
    expect(of(5000).unexplained).toContain("late-1");
    expect(judge(again).unexplained).toEqual(["late-1"]);
  });

  test("a lost delivery, and an ack under way when a fault touched its link; not another's", () => {
    const lost = ALL.replace("102 acked late-1", "102 lost late-1") + run("late-1", 3000);
    expect(judge(lost)).toMatchObject({ unexplained: [], repeats: { "its delivery was lost": 1 } });
    const fault: Fault = { kind: "cut", touches: ["w1"], begin: 500, end: 500 };
    const again = ALL + run("late-1", 9000);
    expect(judge(again, {}, [fault])).toMatchObject({
      unexplained: [],
      repeats: { "its ack was under way": 1 },
    });
    expect(judge(again, {}, [{ ...fault, touches: ["w2"] }]).unexplained).toEqual(["late-1"]);
    expect(judge(again, {}, [{ ...fault, begin: 5000, end: 6000 }]).unexplained).toEqual(["late-1"]);
  });

  test("an early task that a kill cut short, and a second of each run of its first", () => {
    const cut = ALL.replace("201 ran early-2\n", "");
    expect(judge(cut, { killedAt: 205 })).toMatchObject({ lost: [], cutShort: 1 });
    const fault: Fault = { kind: "cut", touches: ["w1"], begin: 300, end: 310 };
    const twice = ALL + run("first-4", 2000) + run("first-4.second", 2010);
    expect(judge(twice, {}, [fault]).unexplained).toEqual([]);
  });
});

test("a heap that grows is told from one that swings", () => {
  const samples = (bytes: (minute: number) => number): Sample[] =>
    Array.from({ length: 300 }, (_, at) => [at * 5000, bytes(at / 12)]);
  const swing = (minute: number): number => 9e6 + 5e5 * Math.sin(minute * 7);
  expect(isFlat(lineThrough(samples(swing)))).toBe(true);
  expect(isFlat(lineThrough(samples((minute) => swing(minute) + minute * 1e5)))).toBe(false);
  const line = lineThrough(samples((minute) => 1e6 + minute * 6e4));
  expect(line.slope * 60_000).toBeCloseTo(6e4, 3);
});
