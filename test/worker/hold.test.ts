import { describe, expect, test } from "vitest";
import { memoryBroker } from "../../adapters/memory/mod.ts";
import type { Running } from "../../src/app/running.ts";
import type { Broker, BrokerEvent, Consumer, Delivery, Settlement } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import type { Timer } from "../../src/lib/port.ts";
import { PARKS } from "../../src/worker/window.ts";
import { until } from "../support/wait.ts";
import { ManualClock, manualPlatform } from "../memory/platform.ts";
import { intercept, setup, type SetupOptions } from "./setup.ts";

/** A broker that cannot park. */
function parkless(broker: Broker): Broker {
  return intercept(broker, { features: { ...broker.features, park: "none", maxPark: 0 } });
}

/** A second passes as it is read for the nth time. */
class JumpingClock extends ManualClock {
  left = Infinity;

  override now(): number {
    return super.now() + (--this.left < 0 ? 1000 : 0);
  }
}

/** Its long timers fire at half of their time, as a host's do after a change of its clock. */
class HastyClock extends ManualClock {
  early = 0;

  override after(ms: number, callback: () => void, options?: { readonly keepAlive?: boolean }): Timer {
    if (ms <= 10) return super.after(ms, callback, options);
    const early = (): void => {
      this.early++;
      callback();
    };
    return super.after(ms / 2, early, options);
  }
}

describe("a task whose time comes", () => {
  test("between the plan and the hold runs at once", async () => {
    for (let reads = 0; reads < 30; reads++) {
      const clock = new JumpingClock();
      await using bench = setup({ platform: manualPlatform(clock), wrapBroker: parkless });
      let runs = 0;
      bench.app.task("t.add", () => void runs++);
      await bench.pushTask({ id: "soon", eta: new Date(clock.now() + 1000).toISOString() });
      clock.left = reads;
      const { worker } = bench.work();
      await bench.says(/received/);
      clock.left = 0;
      await clock.advance(0);
      await until(async () => {
        await clock.advance(1000);
        return runs > 0;
      }, { what: `a run where time passes at read ${reads}`, deadline: 2000 });
      expect(worker.snapshot().reserved).toEqual([]);
    }
  });

  test("while the broker refuses to park it runs at once", async () => {
    const clock = new ManualClock();
    await using bench = setup({
      platform: manualPlatform(clock),
      wrapBroker: () =>
        settling(memoryBroker({ platform: manualPlatform(clock) }), async (delivery, how) => {
          if (how.as !== "park") return await delivery.settle(how);
          await clock.advance(120_000);
          throw new Error("no room");
        }),
    });
    let runs = 0;
    bench.app.task("t.add", () => void runs++);
    await bench.pushTask({ id: "late", eta: new Date(clock.now() + 60_000).toISOString() });
    const { worker } = bench.work();
    await bench.sees("late", "SUCCESS");
    expect(runs).toBe(1);
    expect(worker.snapshot().reserved).toEqual([]);
  });
});

describe("a task with an ETA, of a broker that cannot park", () => {
  test("runs at its time, never before it, while others pass", async () => {
    const clock = new ManualClock();
    await using bench = setup(by(clock, parkless));
    const ran = new Map<string, number>();
    bench.app.task("t.add", (id: string) => void ran.set(id, clock.now()));
    const eta = clock.now() + 1000;
    await bench.pushTask({ id: "later", eta: new Date(eta).toISOString() }, [["later"], {}, {}]);
    await bench.pushTask({ id: "now" }, [["now"], {}, {}]);
    const { worker } = bench.work({ concurrency: 1, prefetchMultiplier: 1 });
    await bench.sees("now", "SUCCESS");
    expect(worker.snapshot().reserved.map((task) => task.id)).toEqual(["later"]);
    await clock.advance(999);
    expect(ran.has("later")).toBe(false);
    await clock.advance(1);
    await bench.sees("later", "SUCCESS");
    expect(ran.get("later")).toBe(eta);
  });

  test("is not acked before it runs, and goes back to its queue at the stop", async () => {
    await using bench = setup({ wrapBroker: parkless });
    bench.app.task("t.add", () => 1);
    await bench.pushTask({ eta: "9999-12-31T23:59:59+00:00" });
    const { worker, done } = bench.work();
    await until(() => worker.snapshot().reserved.length === 1, { what: "it is held" });
    expect(bench.trace).toEqual([]);
    await worker.stop();
    await done;
    expect(bench.trace).toEqual(["settle requeue id-1"]);
    expect(await bench.broker.count("celery")).toBe(1);
  });

  test("does not stand in the way: the prefetch grows with what is held, and shrinks again", async () => {
    const asked: number[] = [];
    const clock = new ManualClock();
    const counting = (broker: Broker): Broker =>
      intercept(parkless(broker), {
        consume(queues, options) {
          const consumer = broker.consume(queues, options);
          return intercept(consumer, {
            setPrefetch(count) {
              asked.push(count);
              return consumer.setPrefetch(count);
            },
          });
        },
      });
    await using bench = setup(by(clock, counting));
    bench.app.task("t.add", () => 1);
    const eta = new Date(clock.now() + 1500).toISOString();
    for (let i = 0; i < 25; i++) await bench.pushTask({ id: `held-${i}`, eta });
    await bench.pushTask({ id: "ready" });
    const { worker } = bench.work({ concurrency: 1, prefetchMultiplier: 2 });
    await bench.sees("ready", "SUCCESS");
    expect(worker.snapshot().reserved.length).toBe(25);
    expect(Math.max(...asked)).toBeGreaterThanOrEqual(27);
    await clock.advance(1500);
    await until(() => worker.snapshot().totals.get("t.add") === 26, { what: "all of them" });
    await until(() => asked.at(-1) === 2, { what: "the first prefetch again" });
    expect(asked.length).toBeLessThan(15);
  });

  test("worker_eta_task_limit is how far held tasks widen the window, as in Celery", async () => {
    const asked: number[] = [];
    await using bench = setup({
      workerEtaTaskLimit: 3,
      wrapBroker: (broker) =>
        intercept(parkless(broker), {
          consume: (queues, options) =>
            intercept(broker.consume(queues, options), {
              setPrefetch: (count) => (asked.push(count), Promise.resolve()),
            }),
        }),
    });
    bench.app.task("t.add", () => 1);
    for (let i = 0; i < 10; i++) await bench.pushTask({ id: `held-${i}`, eta: "2999-01-01T00:00:00Z" });
    const { worker } = bench.work({ concurrency: 1, prefetchMultiplier: 8 });
    await until(() => worker.snapshot().reserved.length === 8, { what: "a full window" });
    await until(() => asked.at(-1) === 11, { what: "the window and the limit" });
    expect(Math.max(...asked)).toBe(11);
  });
});

describe("a task with an ETA", () => {
  test("is not run early by a timer that fires early, and leaves no timer behind", async () => {
    const clock = new HastyClock();
    await using bench = setup({ ...by(new ManualClock()), platform: manualPlatform(clock) });
    const ran: number[] = [];
    bench.app.task("t.add", () => void ran.push(clock.now()));
    const eta = clock.now() + 200;
    await bench.pushTask({ eta: new Date(eta).toISOString() });
    await bench.pushTask({ id: "far", eta: "2999-01-01T00:00:00Z" });
    const { worker, done } = bench.work();
    await until(() => worker.snapshot().reserved.length === 1, { what: "it is held" });
    await clock.advance(199);
    expect([ran, clock.early > 0]).toEqual([[], true]);
    await clock.advance(1);
    await bench.sees("id-1", "SUCCESS");
    expect(ran).toEqual([eta]);
    await worker.stop();
    await done;
    await bench.app.close();
    expect(clock.waiting).toEqual([]);
  });

  // Found by simulation: it was held all the same, and ran beside the one that came again.
  test("whose link is lost as it comes is not held", async () => {
    const clock = new ManualClock();
    await using bench = setup({
      platform: manualPlatform(clock),
      wrapBroker: (broker) =>
        intercept(broker, {
          consume: (queues, options) => withoutLink(broker.consume(queues, options)),
        }),
    });
    let runs = 0;
    bench.app.task("t.add", () => void runs++);
    await bench.pushTask({ eta: new Date(clock.now() + 1000).toISOString() });
    const { worker } = bench.work();
    await bench.says(/received/);
    expect(worker.snapshot().reserved).toEqual([]);
    await clock.advance(2000);
    expect(runs).toBe(0);
  });
});

describe("what is held and what is parked", () => {
  test("a task that is due soon is held, a later one parked; both run at their time", async () => {
    const clock = new ManualClock();
    await using bench = setup({ ...by(clock), workerParkAfter: 5 });
    const ran = new Map<string, number>();
    bench.app.task("t.add", (id: string) => void ran.set(id, clock.now()));
    const start = clock.now();
    const at = (ms: number): string => new Date(start + ms).toISOString();
    await bench.pushTask({ id: "soon", eta: at(5000) }, [["soon"], {}, {}]);
    await bench.pushTask({ id: "later", eta: at(5001) }, [["later"], {}, {}]);
    const { worker } = bench.work();
    await until(() => bench.trace.includes("settle park later"), { what: "a park" });
    expect(worker.snapshot().reserved.map(({ id }) => id)).toEqual(["soon"]);
    await clock.advance(5000);
    await bench.sees("soon", "SUCCESS");
    await clock.advance(1);
    await bench.sees("later", "SUCCESS");
    expect([...ran]).toEqual([["soon", start + 5000], ["later", start + 5001]]);
  });

  test("no more than half of the window is held, whatever comes: ready tasks pass, and the window is as it was", async () => {
    const clock = new ManualClock();
    const asked: number[] = [];
    await using bench = setup({
      platform: manualPlatform(clock),
      wrapBroker: () => {
        const broker = memoryBroker({ platform: manualPlatform(clock) });
        return intercept(broker, {
          consume: (queues, options) => {
            const consumer = broker.consume(queues, options);
            return intercept(consumer, {
              setPrefetch: (count) => (asked.push(count), consumer.setPrefetch(count)),
            });
          },
        });
      },
    });
    bench.app.task("t.add", () => 1);
    const eta = new Date(clock.now() + 1500).toISOString();
    for (let i = 0; i < 50; i++) await bench.pushTask({ id: `later-${i}`, eta });
    await bench.pushTask({ id: "ready" });
    const { worker } = bench.work({ concurrency: 2, prefetchMultiplier: 4 });
    await bench.sees("ready", "SUCCESS");
    expect(worker.snapshot().reserved.length).toBeLessThanOrEqual(4);
    expect(bench.trace.filter((line) => line.startsWith("settle park")).length).toBeGreaterThanOrEqual(46);
    await clock.advance(1500);
    await until(() => worker.snapshot().totals.get("t.add") === 51, { what: "all of them" });
    // On their way to be parked they may have widened it.
    await until(() => (asked.at(-1) ?? 8) === 8, { what: "the window of before", seen: () => `${asked}` });
  });

  test("what the broker is slow to park takes no place from what is ready", async () => {
    const clock = new ManualClock();
    const parked = deferred<void>();
    await using bench = setup({
      platform: manualPlatform(clock),
      wrapBroker: () =>
        settling(memoryBroker({ platform: manualPlatform(clock) }), async (delivery, how) => {
          if (how.as === "park") await parked.promise;
          return await delivery.settle(how);
        }),
    });
    bench.app.task("t.add", () => 1);
    const eta = new Date(clock.now() + 60_000).toISOString();
    for (let i = 0; i < 30; i++) await bench.pushTask({ id: `later-${i}`, eta });
    for (let i = 0; i < 10; i++) await bench.pushTask({ id: `ready-${i}` });
    const { worker } = bench.work({ concurrency: 2, prefetchMultiplier: 4 });
    await until(() => worker.snapshot().totals.get("t.add") === 10, {
      what: "all that are ready",
      seen: () => `${worker.snapshot().totals.get("t.add")}`,
    });
    parked.resolve();
    await until(() => bench.trace.filter((line) => line.startsWith("settle park")).length >= 26, {
      what: "the parks",
    });
  });

  test("while the broker takes no publishes all are held, and the window grows; then they are parked, those that were held within half a minute", async () => {
    const clock = new ManualClock();
    const asked: number[] = [];
    let tell: (event: BrokerEvent) => void = () => {};
    await using bench = setup({
      platform: manualPlatform(clock),
      wrapBroker: () => {
        const broker = memoryBroker({ platform: manualPlatform(clock) });
        return intercept(broker, {
          observe: (listener) => (tell = listener, broker.observe(listener)),
          consume: (queues, options) => {
            const consumer = broker.consume(queues, options);
            return intercept(consumer, {
              setPrefetch: (count) => (asked.push(count), consumer.setPrefetch(count)),
            });
          },
        });
      },
    });
    bench.app.task("t.add", () => 1);
    const eta = new Date(clock.now() + 60_000).toISOString();
    const { worker } = bench.work({ concurrency: 2, prefetchMultiplier: 2 });
    await bench.says(/ready/);
    tell({ is: "blocked", reason: "memory" });
    for (let i = 0; i < 9; i++) await bench.pushTask({ id: `held-${i}`, eta });
    await bench.pushTask({ id: "ready" });
    await bench.sees("ready", "SUCCESS");
    expect(bench.trace.filter((line) => line.startsWith("settle park"))).toEqual([]);
    expect(worker.snapshot().reserved.length).toBe(9);
    expect(asked.at(-1)).toBeGreaterThan(9);
    tell({ is: "unblocked" });
    await bench.pushTask({ id: "later", eta });
    await until(() => bench.trace.includes("settle park later"), { what: "a park" });
    await clock.advance(30_000);
    await until(() => bench.trace.filter((line) => line.startsWith("settle park held-")).length === 9, {
      what: "parks of what was held",
    });
    await until(() => worker.snapshot().reserved.length === 0, { what: "nothing held" });
    expect(worker.snapshot().totals.get("t.add")).toBe(1);
    await clock.advance(30_000);
    await until(() => worker.snapshot().totals.get("t.add") === 11, { what: "all of them" });
  });

  test("what an alarm held goes to be parked in turns, not all at once: the rest is planned again a second later", async () => {
    const clock = new ManualClock();
    let tell: (event: BrokerEvent) => void = () => {};
    let parks = 0;
    const parked = deferred<void>();
    await using bench = setup({
      platform: manualPlatform(clock),
      wrapBroker: () => {
        const broker = memoryBroker({ platform: manualPlatform(clock) });
        const slow = settling(broker, async (delivery, how) => {
          if (how.as === "park") {
            parks++;
            await parked.promise;
          }
          return await delivery.settle(how);
        });
        return intercept(slow, { observe: (listener) => (tell = listener, broker.observe(listener)) });
      },
    });
    // A stop waits for its parks.
    using _parked = { [Symbol.dispose]: () => parked.resolve() };
    bench.app.task("t.add", () => 1);
    const { worker } = bench.work({ concurrency: 1, prefetchMultiplier: 0 });
    await bench.says(/ready/);
    tell({ is: "blocked", reason: "memory" });
    const eta = new Date(clock.now() + 3_600_000).toISOString();
    const many = PARKS + 40;
    for (let i = 0; i < many; i++) await bench.pushTask({ id: `held-${i}`, eta });
    await until(() => worker.snapshot().reserved.length === many, { what: "all are held" });
    tell({ is: "unblocked" });
    await clock.advance(30_000);
    await until(() => parks >= PARKS, { what: "as many parks as may be", seen: () => `${parks}` });
    await clock.advance(1000);
    expect(parks).toBe(PARKS);
    parked.resolve();
    await until(() => worker.snapshot().reserved.length === many - PARKS, { what: "the first are parked" });
    await clock.advance(1000);
    await until(() => worker.snapshot().reserved.length === 0, { what: "the rest is parked" });
    expect(parks).toBe(many);
  });

  test("worker_eta_task_limit is how many are held", async () => {
    await using bench = setup({ workerEtaTaskLimit: 1 });
    bench.app.task("t.add", () => 1);
    const eta = new Date(Date.now() + 1500).toISOString();
    for (let i = 0; i < 3; i++) await bench.pushTask({ id: `later-${i}`, eta });
    const { worker } = bench.work();
    const parks = (): number => bench.trace.filter((line) => line.startsWith("settle park")).length;
    await until(() => parks() === 2, { what: "two parks" });
    expect(worker.snapshot().reserved.map(({ id }) => id)).toEqual(["later-0"]);
  });

  test("in the year 9999 it is parked again and again, for no longer than the broker parks", async () => {
    const clock = new ManualClock();
    const parks: number[] = [];
    await using bench = setup({
      platform: manualPlatform(clock),
      wrapBroker: () =>
        settling(memoryBroker({ platform: manualPlatform(clock) }), (delivery, how) => {
          if (how.as === "park") parks.push(how.until - clock.now());
          return delivery.settle(how);
        }),
    });
    bench.app.task("t.add", () => 1);
    await bench.pushTask({ eta: "9999-12-31T23:59:59+00:00" });
    bench.work();
    for (let round = 1; round <= 3; round++) {
      await until(() => parks.length === round, { what: `park ${round}` });
      const [last = 0] = parks.slice(-1);
      expect(last).toBeLessThanOrEqual(bench.broker.features.maxPark);
      expect(last).toBeGreaterThan(27 * 86_400_000);
      if (round < 3) await clock.advance(last);
    }
  });

  test("a message whose retry cannot be sent, and is due beyond the longest park, goes back for as long as that", async () => {
    const clock = new ManualClock();
    const platform = manualPlatform(clock);
    const kept: number[] = [];
    await using bench = setup({
      platform,
      taskPublishRetryPolicy: { maxRetries: 0 },
      wrapBroker: () => {
        const broker = settling(memoryBroker({ platform }), (delivery, how) => {
          if (how.as === "requeue") kept.push((how.notBefore ?? 0) - clock.now());
          return delivery.settle(how);
        });
        return intercept(broker, {
          publish: (batch, call) =>
            batch[0]?.message.headers["origin"] === undefined
              ? broker.publish(batch, call)
              : Promise.resolve([{ is: "refused", reason: "full", retry: true }]),
        });
      },
    });
    let runs = 0;
    bench.app.task("t.add", { bind: true, acksLate: true }, (task: Running) => {
      if (++runs === 1) throw task.retry({ countdown: "60d" });
    });
    await bench.pushTask({});
    bench.work();
    await until(() => kept.length === 1, { what: "it goes back" });
    const [wait = 0] = kept;
    expect(wait).toBeLessThanOrEqual(bench.broker.features.maxPark);
    expect(wait).toBeGreaterThan(27 * 86_400_000);
    await clock.advance(wait - 1);
    expect([runs, kept.length]).toEqual([1, 1]);
    await clock.advance(1);
    await bench.sees("id-1", "SUCCESS");
    expect([runs, kept.length]).toEqual([2, 1]);
  });

  test("one that expired while it was parked is revoked, and does not run", async () => {
    const clock = new ManualClock();
    await using bench = setup(by(clock));
    let runs = 0;
    bench.app.task("t.add", () => void runs++);
    const at = (ms: number): string => new Date(clock.now() + ms).toISOString();
    await bench.pushTask({ id: "late", eta: at(60_000), expires: at(30_000) });
    bench.work();
    await until(() => bench.trace.includes("settle park late"), { what: "a park" });
    await clock.advance(60_000);
    expect(await bench.sees("late", "REVOKED")).toMatchObject({ result: { exc_message: ["expired"] } });
    expect(runs).toBe(0);
  });

  test("a park that fails leaves it held, is told, and is tried neither again nor with the next ones for half a minute", async () => {
    const clock = new ManualClock();
    let tries = 0;
    await using bench = setup({
      platform: manualPlatform(clock),
      wrapBroker: () =>
        settling(memoryBroker({ platform: manualPlatform(clock) }), (delivery, how) => {
          if (how.as !== "park" || ++tries > 1) return delivery.settle(how);
          return Promise.reject(new Error("no room"));
        }),
    });
    bench.app.task("t.add", () => 1);
    const eta = new Date(clock.now() + 60_000).toISOString();
    await bench.pushTask({ id: "first", eta });
    const { worker } = bench.work();
    await bench.says(/Couldn't park t.add\[first\], it is held: .*no room/);
    await bench.pushTask({ id: "second", eta });
    await until(() => worker.snapshot().reserved.length === 2, { what: "both held" });
    expect(tries).toBe(1);
    await clock.advance(30_000);
    await until(() => tries === 3, { what: "another try with both" });
    await bench.pushTask({ id: "third", eta });
    await until(() => tries === 4, { what: "the next try" });
    await clock.advance(30_000);
    for (const id of ["first", "second", "third"]) await bench.sees(id, "SUCCESS");
  });

  test("a stop waits ten seconds for a broker that takes no parked copies, and ten for the rest", async () => {
    const clock = new ManualClock();
    const platform = manualPlatform(clock);
    await using bench = setup({
      platform,
      wrapBroker: () =>
        settling(
          memoryBroker({ platform }),
          (delivery, how) => how.as === "park" ? new Promise(() => {}) : delivery.settle(how),
        ),
    });
    bench.app.task("t.add", () => 1);
    await bench.pushTask({ id: "late", eta: new Date(clock.now() + 60_000).toISOString() });
    const { worker, done } = bench.work();
    await until(() => bench.trace.includes("settle park late"), { what: "a park" });
    const from = clock.now();
    let stopped = false;
    void worker.stop().then(() => stopped = true);
    await until(async () => {
      await clock.advance(500);
      return stopped;
    }, { what: "the stop" });
    await done;
    expect(clock.now() - from).toBeGreaterThanOrEqual(10_000);
    expect(clock.now() - from).toBeLessThan(22_000);
  });

  test("a stop in the middle of a park that fails gives the message back", async () => {
    let refuse: (error: Error) => void = () => {};
    await using bench = setup({
      wrapBroker: (broker) =>
        settling(
          broker,
          (delivery, how) =>
            how.as === "park" ? new Promise((_, reject) => refuse = reject) : delivery.settle(how),
        ),
    });
    bench.app.task("t.add", () => 1);
    await bench.pushTask({ id: "far", eta: "2999-01-01T00:00:00Z" });
    const { worker, done } = bench.work();
    await until(() => bench.trace.includes("settle park far"), { what: "a park" });
    const stopped = worker.stop();
    refuse(new Error("too late"));
    await stopped;
    await done;
    expect(await bench.broker.count("celery")).toBe(1);
  });
});

test("what the broker cannot keep for later goes back to its queue all the same", async () => {
  let refused = 0;
  await using bench = setup({
    wrapBroker: (broker) =>
      intercept(
        settling(broker, (delivery, how) =>
          how.as === "requeue" && how.notBefore !== undefined
            ? Promise.reject(new Error("no room"))
            : delivery.settle(how)),
        {
          publish: (batch, options) =>
            batch[0]?.message.headers["retries"] === 1 && refused++ === 0
              ? Promise.resolve([{ is: "unknown", reason: "by the test" }])
              : broker.publish(batch, options),
        },
      ),
  });
  bench.app.task("t.add", { bind: true, acksLate: true }, (task: Running) => {
    if (task.retries === 0) task.retry({ countdown: 0 });
    return "done";
  });
  await bench.pushTask({});
  bench.work();
  await bench.sees("id-1", "SUCCESS");
  expect(bench.trace.filter((step) => step.startsWith("settle"))).toEqual([
    "settle requeue id-1",
    "settle requeue id-1",
    "settle ack id-1",
    "settle ack id-1",
  ]);
});

/** App and broker by this clock. */
function by(clock: ManualClock, wrap: (broker: Broker) => Broker = (broker) => broker): SetupOptions {
  const platform = manualPlatform(clock);
  return { platform, wrapBroker: () => wrap(memoryBroker({ platform })) };
}

/** The broker with another way to settle. */
function settling(
  broker: Broker,
  settle: (delivery: Delivery, how: Settlement) => Promise<"settled" | "stale">,
): Broker {
  return intercept(broker, {
    consume(queues, options) {
      const consumer = broker.consume(queues, options);
      return intercept(consumer, {
        async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
          for await (const delivery of consumer) {
            yield intercept(delivery, { settle: (how) => settle(delivery, how) });
          }
        },
      });
    },
  });
}

/** Its deliveries come when their link is lost already. */
function withoutLink(consumer: Consumer): Consumer {
  return intercept(consumer, {
    async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
      for await (const delivery of consumer) {
        yield intercept(delivery, {
          settle: () => Promise.resolve("stale"),
          onLost(listener) {
            listener();
            return { [Symbol.dispose]() {} };
          },
        });
      }
    },
  });
}
