/**
 * Surroundings that break their promises: a logger that throws, a pool that gives no slot.
 */
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Clock } from "../../src/lib/port.ts";
import type { Pool, Slot } from "../../src/pool.ts";
import { LoopPool } from "../../src/worker/pool.ts";
import { until } from "../support/wait.ts";
import { type Bench, intercept, setup, type SetupOptions } from "./setup.ts";

const strays: unknown[] = [];
const onStray = (error: unknown): void => void strays.push(error);

beforeAll(() => void process.on("unhandledRejection", onStray));
afterAll(() => void process.off("unhandledRejection", onStray));

const LOGGERS: Readonly<Record<string, () => unknown>> = {
  "throws": () => {
    throw new Error("the disk is full");
  },
  "rejects": () => Promise.reject(new Error("the disk is full")),
};

describe.each(Object.entries(LOGGERS))("a logger that always %s", (_how, log) => {
  test("takes no task and no worker down, and keeps no slot", async () => {
    await using bench = setup({ logger: { log } });
    bench.app.task("t.add", () => 1);
    bench.app.task("t.boom", { acksLate: true }, () => {
      throw new RangeError("boom");
    });
    bench.app.task("t.says", { bind: true }, (task) => task.log.info("hello"));
    const { worker, done } = bench.work({ concurrency: 1 });
    await bench.pushTask({ id: "a" });
    await bench.pushTask({ id: "b", task: "t.boom" });
    await bench.pushTask({ id: "c", task: "t.nobody" });
    await bench.pushTask({ id: "d", expires: "2020-01-01T00:00:00" });
    await bench.push({ headers: {}, body: new TextEncoder().encode("{") });
    await bench.pushTask({ id: "e", task: "t.says" });
    await bench.pushTask({ id: "f" });
    await bench.sees("a", "SUCCESS");
    await bench.sees("b", "FAILURE");
    await bench.sees("c", "FAILURE");
    await bench.sees("d", "REVOKED");
    await bench.sees("e", "SUCCESS");
    await bench.sees("f", "SUCCESS");
    await worker.stop();
    await done;
    expect(worker.pool.busy).toBe(0);
    expect(bench.unsettled.size).toBe(0);
    expect(await bench.broker.count("celery")).toBe(0);
    expect(strays).toEqual([]);
  });
});

test("a slot is given back once, whatever breaks on the way", async () => {
  let given = 0;
  let freed = 0;
  let broken = false;
  const loop = new LoopPool(1, 0);
  const counted = (slot: Slot): Slot => {
    // What asks for the time next is the start of the first task.
    broken = given++ === 0;
    return {
      pid: slot.pid,
      [Symbol.dispose]() {
        freed++;
        slot[Symbol.dispose]();
      },
    };
  };
  const pool: Pool = intercept<Pool>(loop, {
    acquire(signal) {
      const slot = loop.acquire(signal);
      return slot instanceof Promise ? slot.then(counted) : counted(slot);
    },
  });
  const clock: Clock = {
    ...systemPlatform.clock,
    elapsed() {
      if (!broken) return systemPlatform.clock.elapsed();
      broken = false;
      throw new Error("no time");
    },
  };
  await using bench = setup({ platform: { ...systemPlatform, clock } });
  bench.app.task("t.add", () => 1);
  await bench.pushTask({ id: "a" });
  await bench.pushTask({ id: "b" });
  const { worker } = bench.work({ pool });
  await bench.sees("b", "SUCCESS");
  await bench.says(/t\.add\[a\] INTERNAL ERROR: Error\('no time'\)/);
  await worker.stop();
  expect([given, freed]).toEqual([2, 2]);
  expect(strays).toEqual([]);
});

describe("stamps that have no JSON form, where results tell of them (resultExtended)", () => {
  /** Found by a review: `__type__` names no type that Celery has, and is written by none. */
  const STAMPED = {
    stamped_headers: ["bad", "good"],
    stamps: { bad: { __type__: "a", __value__: "b" }, good: 1 },
  };
  const OPTIONS: SetupOptions = { resultExtended: true, taskTrackStarted: true };

  test("leave the worker alive and the result without them: of a task that runs, and of one that expires as it waits", async () => {
    await using bench = setup(OPTIONS);
    bench.app.task("t.add", () => 1);
    const { worker } = bench.work();
    const soon = (ms: number): string => new Date(Date.now() + ms).toISOString();
    await bench.pushTask({ id: "late", ...STAMPED, eta: soon(60), expires: soon(30) });
    await bench.pushTask({ id: "runs", ...STAMPED });
    const told = await bench.sees("runs", "SUCCESS");
    expect(told).toMatchObject({ name: "t.add", args: [], stamped_headers: ["bad", "good"], good: 1 });
    expect(told).not.toHaveProperty("bad");
    expect(await bench.sees("late", "REVOKED")).toMatchObject({ name: "t.add" });
    await worker.stop();
    expect(bench.trace.filter((step) => step.startsWith("settle"))).toEqual([
      "settle ack runs",
      "settle ack late",
    ]);
    expect(strays).toEqual([]);
  });

  test("let a cold stop end what runs, and give back what is acked late", async () => {
    await using bench = setup(OPTIONS);
    for (const acksLate of [false, true]) {
      bench.app.task(`t.hangs${acksLate ? ".late" : ""}`, { acksLate }, () => new Promise(() => {}));
    }
    const { worker, done } = bench.work();
    await bench.pushTask({ id: "early", task: "t.hangs", ...STAMPED });
    await bench.pushTask({ id: "late", task: "t.hangs.late", ...STAMPED });
    await until(() => worker.snapshot().active.length === 2, { what: "both run" });
    await worker.stop({ how: "cold" });
    await done;
    expect(await bench.sees("early", "FAILURE")).toMatchObject({ result: { exc_type: "WorkerLostError" } });
    expect(await bench.broker.count("celery")).toBe(1);
    expect(strays).toEqual([]);
  });
});

describe("a fault of the worker's own", () => {
  /** A pool whose slots do not know where they run, which is asked as a task begins. */
  function unplaced(): Pool {
    const loop = new LoopPool(1, 0);
    return intercept<Pool>(loop, {
      acquire: (signal) => {
        const slot = loop.acquire(signal) as Slot;
        return Object.defineProperty({ [Symbol.dispose]: () => slot[Symbol.dispose]() }, "pid", {
          get() {
            throw new Error("nowhere");
          },
        }) as Slot;
      },
    });
  }

  test.each([[false, "settle ack id-1"], [true, "settle reject id-1"]])(
    "is the failure of its task, of which its caller and its chain learn (acksLate: %s)",
    async (acksLate, settled) => {
      await using bench = setup({ taskTrackStarted: true });
      bench.app.task("t.add", { acksLate }, () => 1);
      const next = {
        task: "t.next",
        args: [],
        kwargs: {},
        options: { task_id: "next-1" },
        subtask_type: null,
        immutable: false,
      };
      bench.work({ pool: unplaced() });
      await bench.pushTask({}, [[], {}, { callbacks: null, errbacks: null, chain: [next], chord: null }]);
      for (const id of ["id-1", "next-1"]) {
        expect(await bench.sees(id, "FAILURE")).toMatchObject({ result: { exc_message: ["nowhere"] } });
      }
      await until(() => bench.trace.some((step) => step.startsWith("settle")), { what: "its end" });
      expect(bench.trace.filter((step) => step.startsWith("settle"))).toEqual([settled]);
      expect(strays).toEqual([]);
    },
  );
});

describe("a pool that gives no slot", () => {
  /** Pauses pass at once, and are noted. */
  function hurried(): { readonly waits: number[]; readonly options: Pick<SetupOptions, "platform"> } {
    const waits: number[] = [];
    const { clock } = systemPlatform;
    const after: Clock["after"] = (ms, callback, options) => {
      if (ms === 1000) waits.push(ms);
      return clock.after(Math.min(ms, 1), callback, options);
    };
    return { waits, options: { platform: { ...systemPlatform, clock: { ...clock, after } } } };
  }

  async function runsAll(bench: Bench, pool: Pool): Promise<void> {
    bench.app.task("t.add", () => 1);
    for (let i = 0; i < 3; i++) await bench.pushTask({ id: `id-${i}` });
    const { worker } = bench.work({ pool });
    for (let i = 0; i < 3; i++) await bench.sees(`id-${i}`, "SUCCESS");
    await worker.stop();
    expect(pool.busy).toBe(0);
  }

  test.each(["rejects", "throws"])(
    "and %s is asked again after a second: the tasks run then",
    async (how) => {
      const { waits, options } = hurried();
      await using bench = setup(options);
      const loop = new LoopPool(1, 0);
      let asked = 0;
      const pool = intercept<Pool>(loop, {
        acquire(signal) {
          if (++asked > 2) return loop.acquire(signal);
          const error = new Error("no process to be had");
          if (how === "throws") throw error;
          return Promise.reject(error);
        },
      });
      await runsAll(bench, pool);
      expect(waits).toEqual([1000, 1000]);
      const line = "The pool gives no slot: Error('no process to be had'). Asking again in 1 second.";
      expect(bench.lines.filter(({ level }) => level === "critical").map(({ message }) => message)).toEqual([
        line,
        line,
      ]);
      expect(strays).toEqual([]);
    },
  );

  test("does not hold up a stop, which gives back what waits", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => 1);
    await bench.pushTask({});
    const pool = intercept<Pool>(new LoopPool(1, 0), { acquire: () => Promise.reject(new Error("never")) });
    const { worker, done } = bench.work({ pool });
    await bench.says(/gives no slot/);
    await worker.stop();
    await done;
    expect(await bench.broker.count("celery")).toBe(1);
    expect(bench.unsettled.size).toBe(0);
  });
});

test("what Env tells of a task shows no control character of its id", async () => {
  await using bench = setup({
    wrapBackend: (backend) =>
      intercept(backend, { store: () => Promise.reject(new Error("down\n[2026: CRITICAL] x")) }),
  });
  bench.app.task("t.add", () => 1);
  await bench.pushTask({ id: "x\n[2026-11-22 00:00:00,000: CRITICAL/MainProcess] FORGED \u001b[2J" });
  bench.work();
  const { message } = await bench.says(/^Couldn't store/);
  expect(message).not.toMatch(/[\n\u001b]/);
  expect(message).toContain("Couldn't store SUCCESS of task t.add[x\\n[2026");
});
