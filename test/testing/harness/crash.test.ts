/** What becomes of a task whose worker dies at each point of its way, acked early and late: the rows of docs/guarantees.md. */
import { describe, expect, test } from "vitest";
import { Celery } from "../../../mod.ts";
import { createHarness } from "../../../src/testing/mod.ts";
import type { Point } from "../../../src/worker/probe.ts";

interface After {
  /** How often the task ran. */
  readonly runs: number;
  /** How often its link ran. */
  readonly links: number;
  readonly state: string;
  /** The number of the run whose result is stored. */
  readonly result: unknown;
}

/** Sends one task with a link, lets its worker die at this point, and starts another one. */
async function death(acks: "early" | "late", at: Point): Promise<After> {
  const app = new Celery("deaths");
  let runs = 0;
  let links = 0;
  const work = app.task("deaths.work", { acksLate: acks === "late" }, () => ++runs);
  const link = app.task("deaths.link", (_result: unknown) => void links++);
  await using harness = await createHarness(app);
  await harness.fault.kill("worker-1", { at });
  const sent = await harness.run(() => work.applyAsync([], { link: link.s() }));
  await harness.drain();
  await harness.worker();
  await harness.drain();
  expect(harness.workers.map(({ running }) => running).at(0)).toBe(false);
  const { duplicated, lost } = harness.check();
  expect([lost, duplicated.unexplained]).toEqual([[], []]);
  const { state, result } = await harness.outcome(sent);
  return { runs, links, state, result };
}

describe("a worker dies, the message acked early", () => {
  test.each(["accepted", "started"] as const)("%s: the task is lost, and nothing is stored", async (at) => {
    expect(await death("early", at)).toMatchObject({ runs: 0, links: 0, state: "PENDING" });
  });

  test("with links sent and no result stored: they run, and it has none", async () => {
    expect(await death("early", "ended")).toMatchObject({ runs: 1, links: 0, state: "PENDING" });
    expect(await death("early", "followed")).toMatchObject({ runs: 1, links: 1, state: "PENDING" });
    expect(await death("early", "stored")).toMatchObject({ runs: 1, links: 1, state: "SUCCESS" });
  });
});

describe("a worker dies, the message acked late", () => {
  test.each(["accepted", "started"] as const)("%s: the task runs elsewhere", async (at) => {
    expect(await death("late", at)).toMatchObject({ runs: 1, links: 1, state: "SUCCESS", result: 1 });
  });

  test("after the run: the task runs again, from the start", async () => {
    expect(await death("late", "ended")).toMatchObject({ runs: 2, links: 1, state: "SUCCESS", result: 2 });
  });

  test("with links sent and no result stored: it runs again, and sends them once more", async () => {
    expect(await death("late", "followed")).toMatchObject({ runs: 2, links: 2, state: "SUCCESS", result: 2 });
  });

  test("with the result stored and no ack: it runs again, and the first SUCCESS stays", async () => {
    const again = { runs: 2, links: 2, state: "SUCCESS", result: 1 };
    expect(await death("late", "stored")).toMatchObject(again);
    expect(await death("late", "beforeSettle")).toMatchObject(again);
  });
});
