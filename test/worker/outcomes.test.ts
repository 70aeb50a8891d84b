/** What a task throws to say how it ends, and what is stored, sent and settled then. */
import { describe, expect, test } from "vitest";
import { Ignore, Reject } from "../../mod.ts";
import { setup } from "./setup.ts";

const NEXT = {
  task: "t.next",
  args: [],
  kwargs: {},
  options: { task_id: "next-1" },
  subtask_type: null,
  immutable: false,
};
const CHAINED = [[], {}, { callbacks: null, errbacks: null, chain: [NEXT], chord: null }];

describe.each([[false, "early"], [true, "late"]] as const)("acksLate %s", (acksLate, kind) => {
  test("Ignore leaves the state as it is, is acked, and says so", async () => {
    await using bench = setup();
    bench.app.task("t.add", { acksLate }, () => {
      throw new Ignore();
    });
    await bench.pushTask({}, CHAINED);
    bench.work();
    expect(await bench.says(/^Task t\.add\[id-1\] ignored$/)).toMatchObject({ level: "info" });
    expect(bench.trace).toEqual(["settle ack id-1"]);
  });

  test("Reject stores a failure that Python knows, its chain learns of it, and a late message is rejected", async () => {
    await using bench = setup();
    bench.app.task("t.add", { acksLate, autoretryFor: [Error] }, () => {
      throw new Reject("no good");
    });
    await bench.pushTask({}, CHAINED);
    bench.work();
    expect(await bench.says(/t\.add\[id-1\] reject requeue=False: no good/)).toMatchObject({
      level: "warning",
    });
    const result = {
      exc_type: "Reject",
      exc_message: ["no good", false],
      exc_module: "celery.exceptions",
    };
    expect(await bench.sees("id-1", "FAILURE")).toMatchObject({ result });
    expect(await bench.sees("next-1", "FAILURE")).toMatchObject({ result });
    expect(bench.trace.filter((step) => step.startsWith("settle"))).toEqual([
      kind === "late" ? "settle reject id-1" : "settle ack id-1",
    ]);
  });

  test("Reject with requeue gives a late message back, and is a failure where it was acked early", async () => {
    await using bench = setup();
    let runs = 0;
    bench.app.task("t.add", { acksLate }, () => {
      if (runs++ === 0) throw new Reject(new Error("not now"), { requeue: true });
      return "done";
    });
    await bench.pushTask({});
    bench.work();
    await bench.says(/reject requeue=True: Error: not now/);
    if (kind === "late") {
      await bench.sees("id-1", "SUCCESS");
      expect(bench.trace).toEqual(["settle requeue id-1", "store SUCCESS id-1", "settle ack id-1"]);
    } else {
      await bench.sees("id-1", "FAILURE");
      expect(bench.trace).toEqual(["settle ack id-1", "store FAILURE id-1"]);
    }
  });
});

describe("a failure under late ack", () => {
  const fails = (): never => {
    throw new Error("boom");
  };

  test.each([
    [{ taskAcksOnFailure: false }, {}, "reject"],
    [{ taskAcksOnFailure: null, taskAcksOnFailureOrTimeout: false }, {}, "reject"],
    [{ taskAcksOnFailure: true, taskAcksOnFailureOrTimeout: false }, {}, "ack"],
    [{ taskAcksOnFailure: false }, { acksOnFailureOrTimeout: true }, "ack"],
    [{}, { acksOnFailure: false, acksOnFailureOrTimeout: true }, "reject"],
    [{ taskAcksOnFailure: false }, { acksOnFailure: true }, "ack"],
  ])("with the settings %j and the task's own %j: %s", async (settings, options, as) => {
    await using bench = setup(settings);
    bench.app.task("t.add", { acksLate: true, ...options }, fails);
    await bench.pushTask({});
    bench.work();
    await bench.says(/raised unexpected/);
    expect(bench.trace).toEqual(["store FAILURE id-1", `settle ${as} id-1`]);
  });
});
