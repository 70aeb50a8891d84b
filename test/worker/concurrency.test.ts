import { describe, expect, test } from "vitest";
import type { Consumer, Delivery } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { until } from "../support/wait.ts";
import { intercept, setup } from "./setup.ts";

describe("concurrency", () => {
  test("four tasks that wait for each other all run where it is four", async () => {
    await using bench = setup();
    let here = 0;
    const all = deferred<void>();
    bench.app.task("t.add", async () => {
      if (++here === 4) all.resolve();
      await all.promise;
      return here;
    });
    for (let i = 0; i < 4; i++) await bench.pushTask({ id: `id-${i}` });
    bench.work({ concurrency: 4 });
    for (let i = 0; i < 4; i++) expect((await bench.sees(`id-${i}`, "SUCCESS"))["result"]).toBe(4);
  });

  test("is never exceeded, and every slot is used", async () => {
    await using bench = setup();
    let running = 0;
    let most = 0;
    bench.app.task("t.add", async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
    });
    for (let i = 0; i < 50; i++) await bench.pushTask({ id: `id-${i}` });
    const { worker } = bench.work({ concurrency: 3 });
    await until(() => worker.snapshot().totals.get("t.add") === 50, { what: "all fifty" });
    expect(most).toBe(3);
  });

  test("runs tasks in the order in which they came", async () => {
    await using bench = setup();
    const order: number[] = [];
    bench.app.task("t.add", (i: number) => void order.push(i));
    for (let i = 0; i < 20; i++) await bench.pushTask({ id: `id-${i}` }, [[i], {}, {}]);
    bench.work({ concurrency: 1 });
    await until(() => order.length === 20, { what: "all twenty" });
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test("is ten where nobody says so, else what the setting or the option says", async () => {
    await using bench = setup();
    await using other = setup({ workerConcurrency: 6 });
    expect(bench.work().worker.concurrency).toBe(10);
    expect(other.work().worker.concurrency).toBe(6);
    expect(other.work({ concurrency: 2 }).worker.concurrency).toBe(2);
  });
});

describe("a backend that is slow to store", () => {
  test("does not hold the slot of a task that has run, and holds up the next ones only beyond a backlog", async () => {
    const slow = deferred<void>();
    await using bench = setup({
      wrapBackend: (backend) =>
        intercept(backend, {
          async store(record, options) {
            await slow.promise;
            return await backend.store(record, options);
          },
        }),
    });
    let ran = 0;
    bench.app.task("t.add", () => ++ran);
    for (let i = 0; i < 60; i++) await bench.pushTask({ id: `id-${i}` });
    const { worker } = bench.work({ concurrency: 2, prefetchMultiplier: 5 });
    await until(() => worker.snapshot().concluding.length >= 10 && worker.snapshot().reserved.length === 10, {
      what: "a full backlog",
    });
    expect(ran).toBeLessThanOrEqual(12);
    expect(worker.snapshot().active.length).toBe(0);
    slow.resolve();
    await until(() => worker.snapshot().totals.get("t.add") === 60, { what: "all sixty" });
    expect([worker.snapshot().concluding.length, bench.unsettled.size]).toEqual([0, 0]);
  });

  test("has no more stores on their way than the window has room for, also of what is not run", async () => {
    const slow = deferred<void>();
    let stores = 0;
    await using bench = setup({
      wrapBackend: (backend) =>
        intercept(backend, {
          async store(record, options) {
            stores++;
            await slow.promise;
            return await backend.store(record, options);
          },
        }),
    });
    bench.app.task("t.add", () => 1);
    for (let i = 0; i < 30; i++) {
      await bench.pushTask({ id: `old-${i}`, expires: "2020-01-01T00:00:00" });
      await bench.pushTask({ id: `nobody-${i}`, task: "t.nobody" });
    }
    const { worker } = bench.work({ concurrency: 2, prefetchMultiplier: 5 });
    await until(() => stores >= 10 && bench.unsettled.size >= 10, { what: "a full window" });
    expect([stores, bench.unsettled.size]).toEqual([10, 10]);
    slow.resolve();
    await until(() => stores === 60 && bench.unsettled.size === 0, { what: "all sixty" });
    await worker.stop();
    expect((await bench.backend.load(["old-29", "nobody-29"])).map((each) => each?.status)).toEqual(
      ["REVOKED", "FAILURE"],
    );
    // An expired task is no revoke: it would push out those that are.
    expect(worker.snapshot().revoked).toEqual([]);
  });
});

describe("prefetch", () => {
  test("no more is held than concurrency times the multiplier, however much waits", async () => {
    await using bench = setup();
    const gate = deferred<void>();
    bench.app.task("t.add", { acksLate: true }, () => gate.promise);
    for (let i = 0; i < 30; i++) await bench.pushTask({ id: `id-${i}` });
    const { worker } = bench.work({ concurrency: 2, prefetchMultiplier: 3 });
    await until(() => worker.snapshot().active.length === 2 && worker.snapshot().reserved.length === 4, {
      what: "a full window",
    });
    await bench.pushTask({ id: "one more" });
    expect(bench.unsettled.size).toBe(6);
    gate.resolve();
    await until(() => worker.snapshot().totals.get("t.add") === 31, { what: "all of them" });
    expect(bench.unsettled.size).toBe(0);
  });

  test("a message that waits while its link is lost is dropped here, since it comes again", async () => {
    const lost: (() => void)[] = [];
    const settled: string[] = [];
    await using bench = setup({
      wrapBroker: (broker) =>
        intercept(broker, { consume: (...args) => losing(broker.consume(...args), lost, settled) }),
    });
    const gate = deferred<void>();
    const ran: number[] = [];
    bench.app.task("t.add", async (i: number) => {
      ran.push(i);
      await gate.promise;
    });
    for (let i = 0; i < 3; i++) await bench.pushTask({ id: `id-${i}` }, [[i], {}, {}]);
    const { worker } = bench.work({ concurrency: 1 });
    await until(() => worker.snapshot().reserved.length === 2, { what: "two in line" });
    lost[0]?.();
    await until(() => worker.snapshot().reserved.length === 1, { what: "one in line" });
    gate.resolve();
    await bench.sees("id-2", "SUCCESS");
    expect(ran).toEqual([0, 2]);
    expect(await bench.stored("id-1")).toBe(undefined);
    expect(settled).toEqual(["id-0 ack", "id-1 stale", "id-2 ack"]);
  });
});

/** A consumer whose deliveries are lost one by one, in the order in which somebody asks to be told. */
function losing(consumer: Consumer, lost: (() => void)[], settled: string[]): Consumer {
  return intercept(consumer, {
    async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
      for await (const delivery of consumer) {
        let gone = false;
        yield intercept(delivery, {
          settle(how) {
            settled.push(`${String(delivery.message.headers["id"])} ${gone ? "stale" : how.as}`);
            return gone ? Promise.resolve("stale") : delivery.settle(how);
          },
          onLost(listener) {
            lost.push(() => {
              gone = true;
              listener();
            });
            return delivery.onLost(listener);
          },
        });
      }
    },
  });
}
