import { describe, expect, test } from "vitest";
import type { BrokerEvent } from "../../src/broker.ts";
import { ConnectionError } from "../../src/errors.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { HealthFacts } from "../../src/worker/health.ts";
import { judgeHealth } from "../../src/worker/health.ts";
import { healthHandler } from "../../src/worker/health-handler.ts";
import { Worker } from "../../src/worker/worker.ts";
import { until } from "../support/wait.ts";
import { intercept, setup } from "./setup.ts";

const FACTS: HealthFacts = {
  phase: "running",
  aliveAt: 100_000,
  trouble: undefined,
  blocked: undefined,
  unsent: 0,
  patience: 15_000,
  now: 101_000,
};
const trouble = { at: 100_500, reason: { code: "broker-lost", message: "It was lost." } };

describe("the verdict", () => {
  test.each<[string, Partial<HealthFacts>, string, readonly string[]]>([
    ["a recent sign", {}, "consuming", []],
    ["no sign for the whole patience", { now: 115_000 }, "consuming", []],
    ["no sign for longer", { now: 115_001 }, "down", ["worker-silent"]],
    ["a loss after the last sign, at once", { trouble }, "down", ["broker-lost"]],
    ["a loss in the ms of the last sign", { trouble: { ...trouble, at: 100_000 } }, "down", ["broker-lost"]],
    ["a loss before the last sign", { trouble: { ...trouble, at: 99_999 } }, "consuming", []],
    ["no sign yet", { aliveAt: 0 }, "starting", []],
    ["no sign yet, and attempts that fail", { aliveAt: 0, trouble }, "starting", ["broker-lost"]],
    ["a broker that takes no publishes", { blocked: "low on memory" }, "consuming", ["broker-blocked"]],
    ["retries that it does not take", { unsent: 2 }, "consuming", ["retry-unsent"]],
    ["not begun", { phase: "new", aliveAt: 0 }, "new", []],
    ["being stopped, whatever the link", { phase: "stopping", trouble }, "stopping", []],
    ["ended", { phase: "stopped", now: 999_999 }, "stopped", []],
  ])("with %s", (_what, facts, state, codes) => {
    const health = judgeHealth({ ...FACTS, ...facts });
    expect(health.state).toBe(state);
    expect(health.healthy).toBe(state === "consuming");
    expect(health.reasons.map(({ code }) => code)).toEqual(codes);
  });
});

describe("a worker's health", () => {
  test("goes from new through consuming to stopped", async () => {
    await using bench = setup();
    const idle = new Worker(bench.app);
    expect(idle.health()).toEqual({ state: "new", healthy: false, aliveAt: undefined, reasons: [] });
    const { worker, done } = bench.work();
    expect(worker.health().state).toBe("starting");
    await bench.says(/ready\.$/);
    await until(() => worker.health().state !== "starting", { what: "the first sign of life" });
    const health = worker.health();
    expect(health).toMatchObject({ state: "consuming", healthy: true, reasons: [] });
    expect(Math.abs(Date.now() - (health.aliveAt ?? 0))).toBeLessThan(2000);
    const stopped = worker.stop();
    expect(worker.health().state).toBe("stopping");
    await stopped;
    await done;
    expect(worker.health()).toMatchObject({ state: "stopped", healthy: false });
    await idle.stop();
    expect(idle.health().state).toBe("stopped");
  });

  test("is down from a loss until the next sign of life, and tells why", async () => {
    const listeners: ((event: BrokerEvent) => void)[] = [];
    let aliveAt = 0;
    await using bench = setup({
      wrapBroker: (broker) =>
        intercept(broker, {
          observe(listener) {
            listeners.push(listener);
            return broker.observe(listener);
          },
          consume: (queues, options) => {
            const consumer = broker.consume(queues, options);
            return new Proxy(consumer, {
              get(inner, key) {
                if (key === "aliveAt") return aliveAt;
                const value: unknown = Reflect.get(inner, key, inner);
                return typeof value === "function" ? value.bind(inner) as unknown : value;
              },
            });
          },
        }),
    });
    const { worker } = bench.work();
    await bench.says(/ready\.$/);
    aliveAt = Date.now() - 1000;
    expect(worker.health().state).toBe("consuming");
    const error = new ConnectionError("broker-lost", "The connection to the broker at h:1 was lost.");
    for (const listener of listeners) listener({ is: "down", link: "publish", error, retryIn: 10 });
    expect(worker.health().state).toBe("consuming");
    for (const listener of listeners) listener({ is: "down", link: "consume", error, retryIn: 10 });
    expect(worker.health()).toMatchObject({
      state: "down",
      healthy: false,
      aliveAt,
      reasons: [{ code: "broker-lost", message: error.message }],
    });
    aliveAt = Date.now() + 1;
    expect(worker.health().state).toBe("consuming");
  });
});

test("the handler answers probes with 200 or 503 and the same JSON, and nothing else", async () => {
  await using bench = setup();
  const { worker, done } = bench.work({ hostname: "w1@box" });
  const handler = healthHandler(worker);
  const ask = (method = "GET"): Response =>
    handler.fetch(new Request("http://localhost/any/path?x=1", { method }));
  expect(ask().status).toBe(503);
  await bench.says(/ready\.$/);
  const answer = ask();
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(await answer.json()).toEqual({
    hostname: "w1@box",
    state: "consuming",
    healthy: true,
    aliveAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    reasons: [],
    active: 0,
    reserved: 0,
  });
  const head = ask("HEAD");
  expect([head.status, await head.text()]).toEqual([200, ""]);
  const post = ask("POST");
  expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  await worker.stop();
  await done;
  const after = ask();
  expect(after.status).toBe(503);
  expect(await after.json()).toMatchObject({ state: "stopped", healthy: false });
});

test("deadLimit ends a worker that does not come to consume, after running tasks have ended", async () => {
  await using bench = setup({
    wrapBroker: (broker) => intercept(broker, { connect: () => new Promise(() => {}) }),
    platform: systemPlatform,
  });
  const { worker, done } = bench.work({ deadLimit: "600ms" });
  await expect(done).rejects.toMatchObject({ code: "worker-dead" });
  expect(worker.health().state).toBe("stopped");
  expect((await bench.says(/consumed nothing for/)).level).toBe("critical");
});

test("options of the watch are checked", () => {
  const bench = setup();
  expect(() => new Worker(bench.app, { silenceLimit: 0 })).toThrow(/silenceLimit is not a duration/);
  expect(() => new Worker(bench.app, { deadLimit: "soon" as "1s" })).toThrow(/deadLimit is not a duration/);
  expect(() => new Worker(bench.app, { blockedLimit: null, deadLimit: null })).not.toThrow();
});

test("A14: a task that blocks the event loop is told of, by name, and the next ones run", async () => {
  await using bench = setup();
  bench.app.task("t.spin", (ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
  });
  bench.work({ blockedLimit: "300ms" });
  await bench.says(/ready\.$/);
  await bench.pushTask({ task: "t.spin", id: "spinning" }, [[900], {}, {}]);
  const line = await bench.says(
    /^The event loop was blocked for \d+\.\d s \((?:running|ended last): t\.spin\[spinning\]\)/,
  );
  expect(line).toMatchObject({ level: "warning", fields: { code: "blocked-loop" } });
  await bench.pushTask({ task: "t.spin", id: "next" }, [[1], {}, {}]);
  await until(() => bench.lines.some(({ message }) => /t\.spin\[next\] succeeded/.test(message)), {
    what: "the next task",
  });
});
