/**
 * A20: a worker is told to stop at every ms of a run of 300 tasks. Nothing is lost, what has finished does not run again, and what has not
 * begun runs elsewhere.
 */
import { expect, inject, test } from "vitest";
import type { Plan, Send } from "./plan.ts";
import { play } from "./scene.ts";

const TASKS = 300;

/** All of them take some 60 ms, five at a time each of two workers. Without Node a few instants stand for all of them. */
const SPAN = 64;
const STEP = { node: 1, bun: 21, deno: 21, workerd: 63 }[inject("runtime")];

const KINDS = ["late", "early", "late.heeds", "late.fails"] as const;

function planOf(stops: number, how: "warm" | "cold"): Plan {
  const sends = Array.from({ length: TASKS }, (_, number): Send => ({
    at: 0,
    kind: KINDS[number % KINDS.length] ?? "late",
    queue: 0,
    takes: number % 4,
    countdown: 0,
    expires: 0,
    insists: false,
  }));
  const hand = { from: 0, queues: [0], concurrency: 5, multiplier: 2, hops: stops % 5 };
  return {
    seed: stops,
    sends,
    hands: [{ ...hand, stops, how }, { ...hand, stops: 0 }],
    mishaps: [],
    picks: [],
    scatters: false,
  };
}

test("a stop at every ms of 300 tasks loses none, repeats none that has finished, and leaves none behind", {
  timeout: 300_000,
}, async () => {
  let cutShort = 0;
  for (let at = 1; at <= SPAN; at += STEP) {
    const how = at % 2 === 0 ? "warm" : "cold";
    const { history, problems } = await play(planOf(at, how));
    expect(problems, `${how} at ${at}`).toEqual([]);
    /** By task, how its runs ended. */
    const ends = new Map<string, string[]>();
    for (const entry of history) {
      if (entry.is === "ended") ends.set(entry.task, [...ends.get(entry.task) ?? [], entry.outcome]);
    }
    expect(ends.size).toBe(TASKS);
    const twice = [...ends].filter(([, runs]) => runs.length > 1);
    // What heeds the signal of a cold shutdown, and has not finished, runs again; nothing else does.
    expect(twice.filter(([task]) => Number(task.slice(1)) % 4 !== 2), `${how} at ${at}`).toEqual([]);
    expect(twice.filter(([, runs]) => runs[0] === "success"), `${how} at ${at}`).toEqual([]);
    if (how === "warm") expect(twice).toEqual([]);
    cutShort += twice.length;
  }
  if (STEP === 1) expect(cutShort).toBeGreaterThan(0);
});
