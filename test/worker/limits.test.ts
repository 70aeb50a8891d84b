/** Time limits: what a task meets that runs for too long, and what is stored, settled and told then. */
import { describe, expect, test } from "vitest";
import {
  Celery,
  type CeleryOptions,
  type HookEvents,
  type Running,
  SoftTimeLimitExceeded,
  type TaskOptions,
  TimeLimitExceeded,
} from "../../mod.ts";
import { createHarness, type Harness, type HarnessOptions } from "../../src/testing/mod.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { setup } from "./setup.ts";

/** Log lines, each with the virtual second at which it came. */
interface Lab extends AsyncDisposable {
  readonly app: Celery;
  readonly harness: Harness;
  readonly lines: string[];
  /** Seconds since the harness began. */
  seconds(): number;
}

const EPOCH = Date.UTC(2026, 0, 1);

async function lab(
  declare: (app: Celery) => void,
  settings: CeleryOptions = {},
  options: HarnessOptions = {},
): Promise<Lab> {
  const app = new Celery("limits", settings);
  declare(app);
  const lines: string[] = [];
  const seconds = (): number => (harness.now.getTime() - EPOCH) / 1000;
  const harness = await createHarness(app, {
    // A task that waits for its limit waits for nothing real.
    patience: "20ms",
    ...options,
    logger: {
      log(level, message, { code } = {}) {
        if (level === "debug" || level === "info") return;
        lines.push(`${seconds()} ${level} ${code === undefined ? "" : `(${String(code)}) `}${message}`);
      },
    },
  });
  return { app, harness, lines, seconds, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
}

/** Waits until it is told to end. */
function told(task: Running): Promise<void> {
  const { signal } = task;
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function forever(): Promise<never> {
  return new Promise(() => {});
}

describe("the soft limit", () => {
  test("aborts the signal at its instant; a task that throws its reason has failed as Python's would", async () => {
    const seen: unknown[] = [];
    await using at = await lab((app) => {
      app.task("t.slow", { bind: true, softTimeLimit: 10 }, async (task) => {
        await told(task);
        seen.push(at.seconds(), task.signal.reason);
        task.signal.throwIfAborted();
      });
    });
    const { id } = await at.harness.app.sendTask("t.slow", { taskId: "one", softTimeLimit: 10 });
    await at.harness.advance(60);
    expect(seen).toEqual([10, expect.any(SoftTimeLimitExceeded)]);
    const { state, error } = await at.harness.outcome(id);
    expect([state, error]).toEqual([
      "FAILURE",
      expect.objectContaining({
        excType: "SoftTimeLimitExceeded",
        excMessage: [],
        excModule: "billiard.exceptions",
        traceback: expect.stringContaining("SoftTimeLimitExceeded"),
      }),
    ]);
    expect(at.lines).toEqual([
      "10 warning Soft time limit (10s) exceeded for t.slow[one]",
      "10 error Task t.slow[one] raised unexpected: SoftTimeLimitExceeded()",
    ]);
    at.harness.check();
  });

  test.each<[string, (task: Running) => unknown, string, unknown]>([
    [
      "an AbortError of whoever was given the signal",
      () => {
        throw new DOMException("aborted", "AbortError");
      },
      "FAILURE",
      "SoftTimeLimitExceeded",
    ],
    [
      "an error of its own that it caused",
      ({ signal }) => {
        throw new RangeError("too slow", { cause: signal.reason });
      },
      "FAILURE",
      "RangeError",
    ],
    ["a return", () => "tidy", "SUCCESS", undefined],
    ["a retry", (task) => task.retry({ countdown: 5 }), "SUCCESS", undefined],
  ])("met with %s", async (_what, then, state, excType) => {
    await using at = await lab((app) => {
      app.task("t.slow", { bind: true, softTimeLimit: 2 }, async (task) => {
        if (task.retries > 0) return "again";
        await told(task);
        return then(task);
      });
    });
    const result = await at.harness.app.sendTask("t.slow");
    await at.harness.advance(60);
    const outcome = await at.harness.outcome(result);
    expect([outcome.state, (outcome.error as { excType?: string } | undefined)?.excType])
      .toEqual([state, excType]);
    at.harness.check();
  });

  test("is retried by the task's rules, by name or class, and never limits what is over in time", async () => {
    await using at = await lab((app) => {
      const rules = {
        bind: true,
        softTimeLimit: 2,
        autoretryFor: [SoftTimeLimitExceeded],
        maxRetries: 1,
      } as const;
      app.task("t.slow", { ...rules, defaultRetryDelay: 3 }, async (task) => {
        await told(task);
        throw task.signal.reason;
      });
      app.task("t.quick", { softTimeLimit: 2, timeLimit: 4 }, () => Promise.resolve("quick"));
      // Nothing in this loop can end it before it lets go.
      app.task("t.sync", { timeLimit: "1ms" }, () => {
        let spun = 0;
        while (spun < 2e7) spun++;
        return spun > 0 ? "sync" : "never";
      });
    });
    const [slow, quick, sync] = await Promise.all(
      ["t.slow", "t.quick", "t.sync"].map((name) => at.harness.app.sendTask(name)),
    );
    await at.harness.advance(60);
    expect((await at.harness.outcome(slow?.id ?? "")).attempts.map(({ ended }) => ended)).toEqual([
      "retry",
      "failure",
    ]);
    expect([await quick!.get(), await sync!.get()]).toEqual(["quick", "sync"]);
    expect(at.lines.map((line) => line.split(" ")[0])).toEqual(["2", "7", "7"]);
    at.harness.check();
  });
});

describe("the hard limit", () => {
  test("ends the wait: FAILURE as Python's, the slot is free, and what the task comes to later is dropped", async () => {
    const gate = deferred<void>();
    const after: unknown[] = [];
    const told: HookEvents["taskFailure"][] = [];
    await using at = await lab(
      (app) => {
        app.on("taskFailure", (event) => void told.push(event));
        app.task("t.errback", { params: ["id"] }, (id: string) => id);
        app.task("t.stuck", { bind: true, acksLate: true }, async (task) => {
          await gate.promise;
          after.push(task.signal.reason);
          await task.updateState("PROGRESS", 99);
          try {
            task.retry({ throw: false });
          } catch (error) {
            after.push((error as { code?: string }).code);
          }
          throw new Error("late");
        });
        app.task("t.next", () => "next");
      },
      {},
      { concurrency: 1 },
    );
    const { app } = at.harness;
    const stuck = await app.sendTask("t.stuck", {
      taskId: "one",
      timeLimit: 1.5,
      linkError: app.signature("t.errback"),
    });
    const next = await app.sendTask("t.next");
    await at.harness.advance(1);
    at.harness.refuteSucceeded(next);
    await at.harness.advance(1);
    at.harness.assertSucceeded(next);
    const failure = {
      excType: "TimeLimitExceeded",
      excMessage: [1.5],
      excModule: "billiard.exceptions",
      traceback: undefined,
    };
    expect(await at.harness.outcome(stuck)).toMatchObject({ state: "FAILURE", error: failure });
    expect(told.map(({ error, runtime }) => [error, runtime])).toEqual([[
      expect.any(TimeLimitExceeded),
      1.5,
    ]]);
    expect(at.harness.enqueued("t.errback")).toHaveLength(1);
    gate.resolve();
    await at.harness.drain();
    expect(after).toEqual([expect.any(TimeLimitExceeded), "run-over"]);
    expect(await at.harness.outcome(stuck)).toMatchObject({
      state: "FAILURE",
      error: failure,
      deliveries: 1,
    });
    expect(at.harness.enqueued("t.stuck")).toHaveLength(1);
    expect(at.lines).toEqual([
      "1.5 error Hard time limit (1.5s) exceeded for t.stuck[one]",
      "1.5 error Task handler raised error: TimeLimitExceeded(1.5)",
      "2 warning (late-outcome) Task t.stuck[one] ended after its hard time limit: what it came to is dropped.",
    ]);
    at.harness.check();
  });

  test("comes after the soft one, for a task that only tidies up, and is no reason to retry", async () => {
    const reasons: unknown[] = [];
    await using at = await lab((app) => {
      const rules = { bind: true, softTimeLimit: 1, timeLimit: 3, autoretryFor: [Error] } as const;
      app.task("t.slow", rules, async (task) => {
        await told(task);
        reasons.push(task.signal.reason);
        return await forever();
      });
    });
    const slow = await at.harness.app.sendTask("t.slow");
    await at.harness.advance(60);
    const { attempts, error } = await at.harness.outcome(slow.id);
    expect([attempts.map(({ ended }) => ended), error]).toEqual([
      ["failure"],
      expect.objectContaining({ excType: "TimeLimitExceeded", excMessage: [3] }),
    ]);
    expect(reasons).toEqual([expect.any(SoftTimeLimitExceeded)]);
    at.harness.check();
  });

  test.each<[CeleryOptions, TaskOptions, string]>([
    [{}, {}, "ack"],
    [{ taskAcksOnTimeout: false }, {}, "requeue"],
    [{ taskAcksOnFailureOrTimeout: false }, {}, "requeue"],
    [{ taskAcksOnFailure: false }, {}, "ack"],
    [{ taskAcksOnTimeout: true, taskAcksOnFailureOrTimeout: false }, {}, "ack"],
    [{ taskAcksOnTimeout: false }, { acksOnFailureOrTimeout: true }, "ack"],
    [{}, { acksOnTimeout: false, acksOnFailureOrTimeout: true }, "requeue"],
    [{ taskAcksOnTimeout: false }, { acksOnTimeout: true }, "ack"],
    [{ taskAcksOnTimeout: false }, { acksLate: false }, "early"],
  ])("under late ack with the settings %j and the task's own %j: %s", async (settings, options, as) => {
    await using bench = setup({ ...settings, taskTimeLimit: "20ms" });
    let runs = 0;
    bench.app.task("t.add", { acksLate: true, ...options }, () => runs++ === 0 ? forever() : "done");
    await bench.pushTask({});
    bench.work();
    await bench.says(/Hard time limit \(0\.02s\) exceeded for t\.add\[id-1\]/);
    if (as === "requeue") {
      await bench.sees("id-1", "SUCCESS");
      expect(bench.trace).toEqual([
        "store FAILURE id-1",
        "settle requeue id-1",
        "store SUCCESS id-1",
        "settle ack id-1",
      ]);
    } else {
      await bench.says(/Task handler raised error: TimeLimitExceeded\(0\.02\)/);
      const steps = ["store FAILURE id-1", "settle ack id-1"];
      expect(bench.trace).toEqual(as === "early" ? steps.toReversed() : steps);
    }
  });

  test("that gives its message back counts as a delivery: it ends beside its queue, not never", async () => {
    await using at = await lab((app) => {
      app.task("t.stuck", { acksLate: true, acksOnTimeout: false, timeLimit: 1 }, forever);
    });
    const stuck = await at.harness.app.sendTask("t.stuck");
    await at.harness.advance(600);
    const { attempts, deliveries, error, state } = await at.harness.outcome(stuck.id);
    expect([attempts.length, deliveries, state]).toEqual([3, 4, "FAILURE"]);
    expect(error).toMatchObject({ excType: "DeliveryLimitExceeded" });
    at.harness.check();
  });

  test("ends a task that was revoked and goes on as REVOKED; its message does not go back", async () => {
    await using at = await lab((app) => {
      app.task("t.stuck", { acksLate: true, acksOnTimeout: false, timeLimit: 10 }, forever);
    });
    const stuck = await at.harness.app.sendTask("t.stuck");
    await at.harness.advance(1);
    expect(await at.harness.workers[0]?.revoke(stuck.id, { terminate: true })).toEqual([stuck.id]);
    await at.harness.advance(60);
    expect(await at.harness.outcome(stuck.id)).toMatchObject({ state: "REVOKED", deliveries: 1 });
    at.harness.check();
  });

  test("ends a warm shutdown that waits for the task", async () => {
    await using at = await lab((app) => {
      app.task("t.stuck", { acksLate: true, timeLimit: 30 }, forever);
    });
    const stuck = await at.harness.app.sendTask("t.stuck");
    await at.harness.advance(10);
    const stopped = at.harness.workers[0]?.stop().then(() => at.seconds());
    await at.harness.advance(60);
    expect(await stopped).toBe(30);
    expect(await at.harness.outcome(stuck.id)).toMatchObject({ state: "FAILURE", deliveries: 1 });
    at.harness.check();
  });

  test("that comes within the second of a cold shutdown has failed; later ones are nobody's any more", async () => {
    for (const [timeLimit, state] of [[10.5, "FAILURE"], [12, "PENDING"]] as const) {
      await using at = await lab((app) => {
        app.task("t.stuck", { bind: true, acksLate: true, timeLimit }, (task) => {
          task.signal.throwIfAborted();
          return forever();
        });
      });
      const stuck = await at.harness.app.sendTask("t.stuck");
      await at.harness.advance(10);
      const stopped = at.harness.workers[0]?.stop({ how: "cold" });
      await at.harness.advance(60);
      await stopped;
      expect((await at.harness.outcome(stuck.id)).state).toBe(state);
      expect(at.lines.filter((line) => line.includes("Hard")).length).toBe(state === "FAILURE" ? 1 : 0);
      if (state === "FAILURE") at.harness.check();
    }
  });
});

describe("which limit it is", () => {
  test.each<[string, CeleryOptions, TaskOptions, object, number]>([
    ["the message's", { taskTimeLimit: 40 }, { timeLimit: 30 }, { timeLimit: 20 }, 20],
    ["the task's", { taskTimeLimit: 40 }, { timeLimit: 30 }, {}, 30],
    ["the task's where the message says 0", { taskTimeLimit: 40 }, { timeLimit: 30 }, { timeLimit: 0 }, 30],
    ["the setting's", { taskTimeLimit: 40 }, {}, {}, 40],
    ["none where the task says 0", { taskTimeLimit: 40 }, { timeLimit: 0 }, {}, Infinity],
  ])("%s", async (_whose, settings, options, call, limit) => {
    await using at = await lab((app) => void app.task("t.stuck", options, forever), settings);
    await at.harness.app.sendTask("t.stuck", call);
    if (limit === Infinity) {
      // A harness that no limit helps gives up.
      await expect(at.harness.advance(1)).rejects.toMatchObject({ code: "simulation-impatient" });
      return expect(at.lines).toEqual([]);
    }
    await at.harness.advance(limit - 0.001);
    expect(at.lines).toEqual([]);
    await at.harness.advance(0.001);
    expect(at.lines).toHaveLength(2);
  });

  test("the worker's own wins over the setting, and Celery's upper-case names are known", async () => {
    await using at = await lab(
      (app) => {
        app.configFromObject({ CELERYD_TASK_TIME_LIMIT: 40, CELERYD_TASK_SOFT_TIME_LIMIT: 30 });
        app.task("t.stuck", forever);
      },
      {},
      { workers: 0 },
    );
    const started = await at.harness.worker({ timeLimit: "20s", softTimeLimit: 10 });
    await at.harness.app.sendTask("t.stuck", { taskId: "one" });
    await at.harness.advance(100);
    await started.stop();
    await at.harness.worker();
    await at.harness.app.sendTask("t.stuck", { taskId: "two" });
    await at.harness.advance(100);
    expect(at.lines.filter((line) => line.includes("time limit"))).toEqual([
      "10 warning Soft time limit (10s) exceeded for t.stuck[one]",
      "20 error Hard time limit (20s) exceeded for t.stuck[one]",
      "130 warning Soft time limit (30s) exceeded for t.stuck[two]",
      "140 error Hard time limit (40s) exceeded for t.stuck[two]",
    ]);
  });

  test("a soft one that would never be reached is refused, at the declaration and at the call, never of a peer", async () => {
    const app = new Celery("limits");
    const declared = { timeLimit: 10, softTimeLimit: 11 };
    expect(() => app.task("t.wrong", declared, () => 1)).toThrow(
      expect.objectContaining({
        code: "option-invalid",
        message: expect.stringContaining("softTimeLimit of 11 s"),
      }),
    );
    expect(() => app.task("t.wrong", { timeLimit: -1 }, () => 1)).toThrow(
      expect.objectContaining({ code: "duration-invalid" }),
    );
    const limited = app.task("t.limited", { timeLimit: 10 }, () => 1);
    for (
      const sent of [
        limited.applyAsync([], { softTimeLimit: 11 }),
        app.sendTask("t.any", { timeLimit: 1, softTimeLimit: 2 }),
      ]
    ) await expect(sent).rejects.toMatchObject({ code: "option-invalid" });
    await using bench = setup();
    bench.app.task(
      "t.add",
      { bind: true },
      (task) => task.retries > 0 ? "done" : task.retry({ countdown: 0 }),
    );
    await bench.pushTask({ timelimit: [10, 20] });
    bench.work();
    expect(await bench.sees("id-1", "SUCCESS")).toMatchObject({ result: "done" });
  });
});

test("a task that returns something whose `then` throws fails once, and leaves no limit behind", async () => {
  await using it = await lab((app) => {
    app.task("l.odd", { timeLimit: 10 }, () => ({
      // oxlint-disable-next-line unicorn/no-thenable
      then() {
        throw new RangeError("no promise");
      },
    }));
  });
  const result = await it.app.sendTask("l.odd");
  await it.harness.drain();
  await expect(result.get()).rejects.toThrow("no promise");
  await it.harness.advance("1m");
  expect(it.lines.filter((line) => line.includes("time limit"))).toEqual([]);
});
