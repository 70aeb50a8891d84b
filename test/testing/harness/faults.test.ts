import { describe, expect, test } from "vitest";
import { Celery } from "../../../src/app/app.ts";
import { AssertionError } from "../../../src/testing/assert.ts";
import { createHarness } from "../../../src/testing/harness/harness.ts";

function shop(): { readonly app: Celery; readonly runs: string[] } {
  const app = new Celery("shop");
  const runs: string[] = [];
  app.task("shop.early", (id: string) => void runs.push(id));
  app.task("shop.late", { acksLate: true }, (id: string) => void runs.push(id));
  return { app, runs };
}

describe("a harness with faults", () => {
  test("a worker that is killed before its late ack: another runs the task again, and that is explained", async () => {
    const { app, runs } = shop();
    await using harness = await createHarness(app, { workers: 1 });
    await harness.fault.kill("worker-1", { at: "stored" });
    const { id } = await harness.run(() => harness.app.sendTask("shop.late", { args: ["one"] }));
    await harness.worker();
    await harness.drain();
    expect(runs).toEqual(["one", "one"]);
    expect(harness.check()).toMatchObject({ lost: [], duplicated: { explained: [id], unexplained: [] } });
  });

  test("a confirm that is lost: the sender is told that nobody knows, and the task runs", async () => {
    const { app, runs } = shop();
    await using harness = await createHarness(app);
    await harness.fault.loseConfirm("client");
    const sent = harness.run(() => harness.app.sendTask("shop.early", { args: ["one"] }));
    await expect(sent).rejects.toMatchObject({ code: "publish-unknown" });
    await harness.drain();
    expect(runs).toEqual(["one"]);
    expect(harness.check().recovered.length).toBe(1);
  });

  test("a cut that lasts: what is sent meanwhile arrives after it, and workers consume again", async () => {
    const { app, runs } = shop();
    await using harness = await createHarness(app);
    await harness.fault.cut("worker-1");
    await harness.run(() => harness.app.sendTask("shop.early", { args: ["one"] }));
    await harness.drain();
    expect(runs).toEqual([]);
    await harness.fault.heal("worker-1");
    await harness.drain();
    expect(runs).toEqual(["one"]);
    expect(harness.check().ok).toBe(true);
  });

  test("a backend that is down: the lost result is told of", async () => {
    const { app } = shop();
    await using harness = await createHarness(app);
    await harness.fault.backendDown("worker-1");
    const { id } = await harness.run(() => harness.app.sendTask("shop.late", { args: ["one"] }));
    await harness.drain();
    const told = harness.history.entries.filter((entry) => entry.is === "told" && entry.task === id);
    expect(told).toMatchObject([{ code: "result-store-failed" }]);
    expect(harness.check().ok).toBe(true);
  });

  test("a duplicate, a refusal, a restart and a wrong clock leave nothing to complain of", async () => {
    const { app, runs } = shop();
    await using harness = await createHarness(app);
    await harness.fault.refuse("client", 1);
    await harness.run(() => harness.app.sendTask("shop.late", { args: ["one"] }));
    await harness.fault.duplicate();
    await harness.fault.restart({ dirty: true });
    await harness.drain();
    await harness.fault.skew("worker-1", "10m", "back");
    await harness.run(() => harness.app.sendTask("shop.late", { args: ["two"], countdown: 60 }));
    await harness.drain({ withScheduled: true });
    expect(new Set(runs)).toEqual(new Set(["one", "two"]));
    expect(harness.check().lost).toEqual([]);
  });

  test("a broker that died gives out as redelivered what nobody had: each has one start less, and with one alone it has none", async () => {
    const { app, runs } = shop();
    app.task("shop.once", { acksLate: true, maxDeliveries: 1 }, (id: string) => void runs.push(id));
    app.task("shop.twice", { acksLate: true, maxDeliveries: 2 }, (id: string) => void runs.push(id));
    await using harness = await createHarness(app, { workers: 0 });
    const once = await harness.run(() => harness.app.sendTask("shop.once", { args: ["once"] }));
    const twice = await harness.run(() => harness.app.sendTask("shop.twice", { args: ["twice"] }));
    await harness.fault.restart({ dirty: true });
    await harness.worker();
    await harness.drain();
    expect(runs).toEqual(["twice"]);
    expect([await harness.app.result(once.id).state(), await harness.app.result(twice.id).state()]).toEqual([
      "FAILURE",
      "SUCCESS",
    ]);
    expect(harness.check().lost).toEqual([]);
  });

  test("a broker's death undoes acks of one queue and not of another, whichever was settled first", async () => {
    const again = new Set<string>();
    for (let seed = 1; seed <= 16; seed++) {
      const { app, runs } = shop();
      app.configFromObject({ taskQueues: ["a", "b"] });
      await using harness = await createHarness(app, { seed });
      for (const queue of ["a", "b"]) {
        await harness.run(() => harness.app.sendTask("shop.late", { args: [queue], queue }));
      }
      await harness.drain();
      expect(runs.splice(0)).toEqual(["a", "b"]);
      await harness.fault.restart({ dirty: true });
      await harness.drain();
      again.add(runs.toSorted().join(" and "));
      expect(harness.check().duplicated.unexplained).toEqual([]);
    }
    expect([...again].sort()).toEqual(["", "a", "a and b", "b"]);
  });

  test("a worker that is killed after a late ack: that task ran once, and a neighbour in the freed slot runs again", async () => {
    const { app, runs } = shop();
    await using harness = await createHarness(app, { concurrency: 1 });
    await harness.fault.kill("worker-1", { at: "afterSettle" });
    await harness.run(() => harness.app.sendTask("shop.late", { args: ["one"] }));
    const { id } = await harness.run(() => harness.app.sendTask("shop.late", { args: ["two"] }));
    await harness.drain();
    await harness.worker();
    await harness.drain();
    expect(runs).toEqual(["one", "two", "two"]);
    expect(harness.check()).toMatchObject({ lost: [], duplicated: { explained: [id], unexplained: [] } });
  });

  test("a fault of a node that is not there is refused, and not written down", async () => {
    const { app } = shop();
    await using harness = await createHarness(app);
    for (const fault of ["cut", "heal", "drop", "freeze", "thaw", "backendDown"] as const) {
      await expect(harness.fault[fault]("nobody")).rejects.toMatchObject({ code: "fault-node" });
    }
    expect(harness.history.entries.filter(({ is }) => is === "fault")).toEqual([]);
  });

  test("what is wrong is an assertion that names it", async () => {
    const { app } = shop();
    await using harness = await createHarness(app, { workers: 0 });
    const { id } = await harness.run(() => harness.app.sendTask("shop.early", { args: ["one"] }));
    expect(() => harness.check()).toThrow(AssertionError);
    expect(() => harness.check()).toThrow(`lost: ${id}`);
    await harness.drain();
  });

  test("a node that is not there is an error that names those that are", async () => {
    const { app } = shop();
    await using harness = await createHarness(app);
    await expect(harness.fault.cut("worker-9")).rejects.toMatchObject({ code: "fault-node" });
    await expect(harness.fault.duplicate("nobody")).rejects.toMatchObject({ code: "fault-task" });
  });
});
