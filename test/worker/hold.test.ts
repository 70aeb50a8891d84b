import { describe, expect, test } from "vitest";
import type { Consumer, Delivery } from "../../src/broker.ts";
import type { Clock, Timer } from "../../src/lib/port.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { until } from "../support/wait.ts";
import { ManualClock, manualPlatform } from "../memory/platform.ts";
import { intercept, setup } from "./setup.ts";

describe("a task with an ETA", () => {
  test("runs at its time, never before it, while others pass", async () => {
    await using bench = setup();
    const ran = new Map<string, number>();
    bench.app.task("t.add", (id: string) => void ran.set(id, Date.now()));
    const eta = Date.now() + 250;
    await bench.pushTask({ id: "later", eta: new Date(eta).toISOString() }, [["later"], {}, {}]);
    await bench.pushTask({ id: "now" }, [["now"], {}, {}]);
    const { worker } = bench.work({ concurrency: 1, prefetchMultiplier: 1 });
    await bench.sees("now", "SUCCESS");
    expect(worker.snapshot().reserved.map((task) => task.id)).toEqual(["later"]);
    await bench.sees("later", "SUCCESS");
    expect(ran.get("later")).toBeGreaterThanOrEqual(eta);
  });

  test("is not acked before it runs, and goes back to its queue at the stop", async () => {
    await using bench = setup();
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
    await using bench = setup({
      wrapBroker: (broker) =>
        intercept(broker, {
          consume(queues, options) {
            const consumer = broker.consume(queues, options);
            return intercept(consumer, {
              setPrefetch(count) {
                asked.push(count);
                return consumer.setPrefetch(count);
              },
            });
          },
        }),
    });
    bench.app.task("t.add", () => 1);
    const eta = new Date(Date.now() + 600).toISOString();
    for (let i = 0; i < 25; i++) await bench.pushTask({ id: `held-${i}`, eta });
    await bench.pushTask({ id: "ready" });
    const { worker } = bench.work({ concurrency: 1, prefetchMultiplier: 2 });
    await bench.sees("ready", "SUCCESS");
    expect(worker.snapshot().reserved.length).toBe(25);
    expect(Math.max(...asked)).toBeGreaterThanOrEqual(27);
    await until(() => worker.snapshot().totals.get("t.add") === 26, { what: "all of them" });
    await until(() => asked.at(-1) === 2, { what: "the first prefetch again" });
    expect(asked.length).toBeLessThan(15);
  });

  test("is not run early by a timer that fires early, and leaves no timer behind", async () => {
    const timers = new Set<Timer>();
    const { clock } = systemPlatform;
    // Fires at half of the time, as a host after a change of its clock does.
    const hasty: Clock = {
      ...clock,
      after(ms, callback, options) {
        const timer = clock.after(ms / 2, () => {
          timers.delete(timer);
          callback();
        }, options);
        timers.add(timer);
        return {
          cancel: () => {
            timers.delete(timer);
            timer.cancel();
          },
        };
      },
    };
    await using bench = setup({ platform: { ...systemPlatform, clock: hasty } });
    const ran: number[] = [];
    bench.app.task("t.add", () => void ran.push(Date.now()));
    const eta = Date.now() + 200;
    await bench.pushTask({ eta: new Date(eta).toISOString() });
    await bench.pushTask({ id: "far", eta: "2999-01-01T00:00:00Z" });
    const { worker, done } = bench.work();
    await bench.sees("id-1", "SUCCESS");
    expect(ran[0]).toBeGreaterThanOrEqual(eta);
    await worker.stop();
    await done;
    await bench.app.close();
    expect(timers.size).toBe(0);
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
