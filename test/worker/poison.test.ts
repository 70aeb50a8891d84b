/** Messages that end their worker are taken out of the way; those that have succeeded are not run again. */
import { describe, expect, test } from "vitest";
import { memoryBackend, memoryBroker } from "../../adapters/memory/mod.ts";
import type { Facts } from "../../src/backend.ts";
import { type Broker, Celery, Reject, type Running, type TaskOptions } from "../../mod.ts";
import { createHarness } from "../../src/testing/mod.ts";
import type { BrokerFeatures, Delivery } from "../../src/broker.ts";
import { cancelOnLoss } from "../../src/worker/cancel.ts";
import { Starts } from "../../src/worker/poison.ts";
import { Suspects } from "../../src/worker/suspects.ts";
import type { Request } from "../../src/worker/request.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { HandClock } from "../support/hand-clock.ts";
import { until } from "../support/wait.ts";
import { intercept, setup } from "./setup.ts";

const NEXT = {
  task: "t.next",
  args: [],
  kwargs: {},
  options: { task_id: "next-1" },
  subtask_type: null,
  immutable: false,
};
const CHAINED = [[], {}, { callbacks: null, errbacks: null, chain: [NEXT], chord: null }];

describe("a message that kills its worker", () => {
  test("A19: is put beside its queue at the fourth delivery, fails, its chain learns of it, its neighbours run", async () => {
    const app = new Celery("shop", { broker: memoryBroker(), backend: memoryBackend(), taskAcksLate: true });
    const poison = app.task("t.poison", { bind: true }, async (task: Running) => {
      await harness.fault.kill(task.hostname.replace("celery@", ""));
    });
    const next = app.task("t.next", { params: ["x?"] }, (x?: unknown) => x ?? null);
    const good = app.task("t.good", () => "good");
    await using harness = await createHarness(app, { workers: 0 });
    const victim = await poison.applyAsync([], { link: next.s() });
    const neighbours = [await good.delay(), await good.delay()];
    for (let at = 0; at < 5; at++) {
      await harness.worker({ concurrency: 1 });
      await harness.runUntilIdle();
    }
    const { state, error, deliveries, attempts } = await harness.outcome(victim);
    expect([state, deliveries, attempts.length]).toEqual(["FAILURE", 4, 3]);
    expect(error).toMatchObject({ excType: "DeliveryLimitExceeded" });
    for (const one of neighbours) {
      const { attempts: runs, state: end } = await harness.outcome(one);
      expect([end, runs.length]).toEqual(["SUCCESS", 1]);
    }
    expect(harness.enqueued(next).length).toBe(0);
    harness.check();
  });

  test("is counted where it begins; what is halted before that is not", async () => {
    const { counts, starts, request } = counting({ "starts:one:0": "1" });
    const [one, fresh] = [request("one"), request("fresh")];
    expect([await starts.isSuspect(one), await starts.isSuspect(fresh)]).toEqual([true, false]);
    expect(await starts.examine(one, () => true)).toBeUndefined();
    expect(counts.get("starts:one:0")).toBe("1");
    expect(await starts.examine(one)).toBeUndefined();
    expect(await starts.examine(fresh)).toBeUndefined();
    expect(Object.fromEntries(counts)).toEqual({ "starts:one:0": "2", "starts:fresh:0": "1" });
    // One that is to be put aside waits for nobody.
    expect(await starts.isSuspect(request("one"))).toBe(false);
    expect(await starts.examine(request("one"))).toBe(3);
    // Its settlement was lost with its link, and nothing else.
    await starts.forget(one);
    expect(await starts.examine(request("one"))).toBeUndefined();
  });

  test("keeps its count when its link is lost and its run is to end: that one start alone is taken back", async () => {
    for (const facts of [true, false]) {
      const { counts, starts, request } = counting({ "starts:one:0": "1" }, facts);
      const begin = async (): Promise<void> => {
        const again = request("one");
        expect(await starts.examine(again)).toBeUndefined();
        cancelOnLoss(again);
      };
      for (let lost = 0; lost < 5; lost++) await begin();
      if (facts) expect(counts.get("starts:one:0")).toBe("1");
      // Starts that killed a worker count as before.
      expect(await starts.examine(request("one"))).toBeUndefined();
      if (!facts) expect(await starts.examine(request("one"))).toBeUndefined();
      expect(await starts.examine(request("one"))).toBe(3);
    }
  });

  test("waits no longer than five seconds for the backend to say how often it began, which is told once", async () => {
    const { clock, facts, lines, starts, request } = counting({ "starts:one:0": "7", "starts:last:0": "7" });
    const { get } = facts;
    facts.get = () => new Promise(() => {});
    const asked = Promise.all([starts.isSuspect(request("one")), starts.examine(request("two"))]);
    await until(() => clock.armed === 2, { what: "both are asked for" });
    clock.run(5000);
    expect(await asked).toEqual([false, undefined]);
    expect(lines).toEqual([
      expect.stringMatching(/^starts-unchecked Couldn't ask how often task t\.add\[\w+\] began/),
    ]);
    facts.get = get;
    expect(await starts.examine(request("last"))).toBe(8);
    facts.get = () => Promise.reject(new Error("down"));
    expect(await starts.examine(request("one"))).toBeUndefined();
    expect(lines).toHaveLength(2);
    expect(clock.armed).toBe(0);
  });

  test("that runs on after its hard limit keeps its turn until it has ended, or for a minute", async () => {
    const clock = new HandClock();
    const suspects = new Suspects();
    const env = { clock, stopping: new AbortController().signal };
    const gate = deferred<void>();
    const [a, b, c, d] = [gate.promise, new Promise(() => {}), undefined, undefined].map((late) =>
      ({ env, late }) as unknown as Request
    ) as [Request, Request, Request, Request];
    const turns: unknown[] = [];
    for (const one of [a, b, c, d]) suspects.wait(one, () => turns.push(one));
    suspects.end(a);
    clock.run(1000);
    expect(turns).toEqual([a]);
    gate.resolve();
    await until(() => turns.length === 2, { what: "the next turn" });
    suspects.end(b);
    clock.run(59_999);
    await Promise.resolve();
    expect(turns).toEqual([a, b]);
    clock.run(1);
    await until(() => turns.length === 3, { what: "the turn after it" });
    suspects.end(c);
    expect(turns).toEqual([a, b, c, d]);
  });

  test("does not begin beside one whose code runs on after its hard limit", async () => {
    const { bench, gate, began } = await suspected(["a", "b"], { timeLimit: "30ms" });
    await using _ = bench;
    bench.work({ concurrency: 3 });
    await bench.sees("a", "FAILURE");
    await until(() => bench.trace.includes("settle ack a"), { what: "its ack" });
    await bench.pushTask({ id: "quick", task: "t.quick" });
    await bench.sees("quick", "SUCCESS");
    expect(began).toEqual(["a"]);
    gate.resolve();
    await bench.sees("b", "SUCCESS");
  });

  test("has its turn alone among those that began twice; one that leaves the line is passed over", () => {
    const suspects = new Suspects();
    const [a, b, c] = ["a", "b", "c"].map((id) => ({ id }) as unknown as Request) as [
      Request,
      Request,
      Request,
    ];
    const turns: unknown[] = [];
    for (const one of [a, b, c]) suspects.wait(one, () => turns.push(one));
    expect([turns, [...suspects.waiting]]).toEqual([[a], [b, c]]);
    suspects.leave(b);
    expect(turns).toEqual([a]);
    suspects.leave(a);
    suspects.leave(a);
    expect([turns, [...suspects.waiting]]).toEqual([[a, c], []]);
    suspects.leave(c);
    suspects.wait(b, () => turns.push(b));
    expect(turns).toEqual([a, c, b]);
  });

  test("holds no slot while it waits for its turn, can be revoked then, and is not counted when a stop gives it back", async () => {
    const ids = ["a", "b", "c"];
    const { bench, gate, began } = await suspected(ids);
    await using _ = bench;
    const facts = bench.backend.facts as Facts;
    const { worker } = bench.work({ concurrency: 3 });
    await bench.pushTask({ id: "quick", task: "t.quick" });
    await bench.sees("quick", "SUCCESS");
    const { active, reserved } = worker.snapshot();
    expect([active.map(({ id }) => id), reserved.map(({ id }) => id)]).toEqual([["a"], ["b", "c"]]);
    await worker.revoke("b");
    expect(await bench.sees("b", "REVOKED")).toBeTruthy();
    const stopped = worker.stop();
    await until(() => bench.trace.includes("settle requeue c"), { what: "the last one goes back" });
    gate.resolve();
    await stopped;
    expect(began).toEqual(["a"]);
    const counts = await Promise.all(ids.map((id) => facts.get(`starts:${id}:0`)));
    expect(counts).toEqual(["2", "1", "1"]);
    expect(await bench.broker.count("celery")).toBe(1);
  });

  test("leaves a confirmed copy as it came, with the reason in its headers", async () => {
    const { bench, redeliver } = again();
    await using _ = bench;
    bench.app.task("t.add", { acksLate: true, maxDeliveries: 1 }, () => 1);
    const bound = { "x-death": [], "celeriac-route": ["x", "y"] };
    await redeliver({ mine: "kept", ...bound }, CHAINED, { expiration: "60000", priority: 4 });
    bench.work();
    expect(await bench.sees("id-1", "FAILURE")).toMatchObject({
      result: { exc_type: "DeliveryLimitExceeded", exc_module: "celeriac" },
    });
    expect(await bench.sees("next-1", "FAILURE")).toBeTruthy();
    expect(bench.trace.filter((step) => step.includes("settle"))).toEqual(["settle ack id-1"]);
    const [copy] = await take(bench.broker, "celery.dead");
    expect(copy?.message.headers).toMatchObject({
      task: "t.add",
      id: "id-1",
      mine: "kept",
      "celeriac-dead-reason": "delivery-limit",
      "celeriac-dead-queue": "celery",
      "celeriac-dead-count": 1,
      "celeriac-dead-time": expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
    for (const name of Object.keys(bound)) expect(copy?.message.headers).not.toHaveProperty(name);
    expect(copy?.message.properties).not.toHaveProperty("expiration");
    expect(copy?.message.properties["priority"]).toBe(4);
  });

  test("that cannot be put aside goes back, and is not run", async () => {
    const { bench, redeliver } = again({ refuseDead: true });
    await using _ = bench;
    let runs = 0;
    bench.app.task("t.add", { acksLate: true, maxDeliveries: 1 }, () => void runs++);
    await redeliver();
    const { worker } = bench.work();
    expect((await bench.says(/could not be put aside/)).fields["code"]).toBe("dead-unsent");
    await until(() => bench.trace.includes("settle requeue id-1"), { what: "the requeue" });
    expect([runs, worker.snapshot().totals.size]).toEqual([0, 0]);
    expect(await bench.stored("id-1")).toBeUndefined();
  });

  test("that went back for later is still known to have been handed out: it is not run when it comes again", async () => {
    const { bench } = again({ refuseDead: true });
    await using _ = bench;
    let runs = 0;
    bench.app.task("t.add", { acksLate: true }, () => void runs++);
    await bench.pushTask({});
    const consumer = bench.broker.consume(["celery"], { prefetch: 1 });
    for await (const delivery of consumer) {
      await delivery.settle({ as: "requeue" });
      break;
    }
    await consumer.stop();
    const facts = bench.backend.facts as Facts;
    for (let i = 0; i < 3; i++) await facts.bump("starts:id-1:0", { ttl: 60_000 });
    bench.work();
    const told = (): number => bench.lines.filter(({ fields }) => fields["code"] === "dead-unsent").length;
    await until(() => told() === 2, { what: "it came again, and could not be put aside again" });
    expect(runs).toBe(0);
  });

  test("is counted by the worker itself where there is no backend, and by a broker that counts", async () => {
    for (const attempts of [undefined, 3]) {
      const { bench, redeliver } = again({ attempts, facts: false });
      await using _ = bench;
      let runs = 0;
      bench.app.task("t.add", { acksLate: true }, () => {
        runs++;
        throw new Reject("again", { requeue: true });
      });
      await redeliver();
      bench.work();
      await bench.says(/DeliveryLimitExceeded/);
      // Of four deliveries the first was the test's own.
      expect(runs).toBe(attempts === undefined ? 2 : 0);
    }
  });

  test("runs for ever where there is no limit, and early acked ones are not counted", async () => {
    const { bench, redeliver } = again();
    await using _ = bench;
    let runs = 0;
    bench.app.task("t.add", { acksLate: true, maxDeliveries: null }, () => {
      if (++runs < 12) throw new Reject("again", { requeue: true });
    });
    await redeliver();
    bench.work();
    await bench.sees("id-1", "SUCCESS");
    expect(runs).toBe(12);
  });
});

describe("workerDeduplicateSuccessfulTasks", () => {
  test.each(
    [
      [false, true, 2],
      [true, true, 1],
      [true, false, 2],
      ["always", false, 1],
    ] as const,
  )("%s, redelivered %s: the second message of a success makes %d runs", async (setting, comes, most) => {
    const { bench, redeliver } = again({}, { workerDeduplicateSuccessfulTasks: setting, taskAcksLate: true });
    await using _ = bench;
    let runs = 0;
    bench.app.task("t.add", () => ++runs);
    await bench.pushTask({});
    const { worker } = bench.work();
    await bench.sees("id-1", "SUCCESS");
    await until(() => bench.unsettled.size === 0, { what: "the ack" });
    await worker.stop();
    // Another worker knows it from the backend alone.
    if (comes) await redeliver();
    else await bench.pushTask({});
    bench.work();
    await until(() => bench.trace.filter((step) => step.startsWith("settle ack")).length >= 2, {
      what: "acks",
    });
    await until(() => bench.unsettled.size === 0, { what: "the second ack" });
    expect(runs).toBe(most);
    if (most === 1) await bench.says(/^Task t\.add\[id-1\] Task already completed successfully\.$/);
  });

  test("what follows is sent, unless it is known to have been sent", async () => {
    const { bench, redeliver } = again({}, { workerDeduplicateSuccessfulTasks: true, taskAcksLate: true });
    await using _ = bench;
    bench.app.task("t.add", () => "again");
    bench.app.task("t.next", (x: unknown) => x);
    // As a worker left it that died between its store and its ack; the chain was not sent.
    const meta = { status: "SUCCESS", result: "first", traceback: null, children: [], date_done: null };
    const text = JSON.stringify({ ...meta, task_id: "id-1" });
    await bench.backend.store({ taskId: "id-1", status: "SUCCESS", text }, { ttl: undefined });
    await redeliver({}, CHAINED);
    bench.work();
    expect(await bench.sees("next-1", "SUCCESS")).toMatchObject({ result: "first" });
    expect(bench.trace.filter((step) => step.includes("id-1"))).toEqual([
      "store SUCCESS id-1",
      "settle ack id-1",
    ]);
    // The worker remembers what it sent.
    await redeliver({}, CHAINED);
    await until(() => bench.trace.filter((step) => step === "settle ack id-1").length === 2, {
      what: "acks",
    });
    expect(bench.trace.filter((step) => step === "publish t.next").length).toBe(1);
  });
});

/** What one worker knows of starts, with counts to look at. */
function counting(stand: Readonly<Record<string, string>>, withFacts = true) {
  const counts = new Map(Object.entries(stand));
  const facts = {
    get: (key: string): Promise<string | undefined> => Promise.resolve(counts.get(key)),
    bump: (key: string): Promise<number> => {
      counts.set(key, String(Number(counts.get(key) ?? 0) + 1));
      return Promise.resolve(Number(counts.get(key)));
    },
    put: (key: string, value: string): Promise<boolean> => {
      counts.set(key, value);
      return Promise.resolve(true);
    },
  };
  const clock = new HandClock();
  const lines: string[] = [];
  const env = {
    backend: withFacts ? { facts } : {},
    clock,
    logger: {
      log: (_level: string, line: string, { code }: { code: string }) => lines.push(`${code} ${line}`),
    },
    settings: { taskMaxDeliveries: 3, workerCancelLongRunningTasksOnConnectionLoss: true },
  };
  const starts = new Starts(env as never);
  const request = (id: string): Request =>
    ({
      acksLate: true,
      delivery: { redelivered: true, onLost: (lost: () => void) => (lost(), { [Symbol.dispose]() {} }) },
      message: { id, retries: 0 },
      task: { rules: {} },
      label: `t.add[${id}]`,
      env: { ...env, starts, logger: { log() {} } },
      forget() {},
      abort() {},
    }) as unknown as Request;
  return { clock, counts, facts, lines, starts, request };
}

/** A bench with messages in its queue that were handed out before, and have begun twice; their task waits for the gate. */
async function suspected(ids: readonly string[], options: TaskOptions = {}) {
  const bench = setup();
  const gate = deferred<void>();
  const began: string[] = [];
  bench.app.task("t.add", { ...options, bind: true, acksLate: true }, async (task: Running) => {
    began.push(task.id);
    await gate.promise;
  });
  bench.app.task("t.quick", () => "quick");
  for (const id of ids) await bench.pushTask({ id });
  const consumer = bench.broker.consume(["celery"], { prefetch: 0 });
  let back = 0;
  for await (const delivery of consumer) {
    await delivery.settle({ as: "requeue" });
    if (++back === ids.length) break;
  }
  await consumer.stop();
  const facts = bench.backend.facts as Facts;
  for (const id of ids) await facts.bump(`starts:${id}:0`, { ttl: 60_000 });
  bench.trace.length = 0;
  return { bench, gate, began };
}

/** A bench into whose queue a message can be put as one that was handed out before. */
function again(
  of: { attempts?: number | undefined; facts?: boolean; refuseDead?: boolean } = {},
  settings: object = {},
): { bench: ReturnType<typeof setup>; redeliver: (...task: Parameters<Redeliver>) => Promise<void> } {
  const flagged = new Set<string>();
  const bench = setup({
    ...settings,
    wrapBackend: (backend) => of.facts === false ? intercept(backend, { facts: null as never }) : backend,
    wrapBroker: (broker) =>
      intercept(broker, {
        features: { ...broker.features, attempts: of.attempts !== undefined } as BrokerFeatures,
        publish: (batch, call) =>
          of.refuseDead === true && batch.some(({ to }) => to.routingKey.endsWith(".dead"))
            ? Promise.resolve([{ is: "refused", reason: "full", retry: true }])
            : broker.publish(batch, call),
        consume: (queues, options) => {
          const consumer = broker.consume(queues, options);
          return intercept(consumer, {
            async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
              for await (const delivery of consumer) {
                const redelivered = delivery.redelivered ||
                  flagged.has(String(delivery.message.headers["id"]));
                yield intercept(delivery, {
                  redelivered,
                  ...(of.attempts === undefined ? {} : { attempts: of.attempts }),
                });
              }
            },
          });
        },
      }),
  });
  return {
    bench,
    redeliver: async (headers = {}, body = [[], {}, {}], properties = {}) => {
      flagged.add("id-1");
      await bench.pushTask(headers, body, { properties: { correlation_id: "id-1", ...properties } });
    },
  };
}

type Redeliver = (
  headers?: Readonly<Record<string, unknown>>,
  body?: unknown,
  properties?: object,
) => Promise<void>;

async function take(broker: Broker, queue: string): Promise<Delivery[]> {
  const consumer = broker.consume([queue], { prefetch: 1 });
  const taken: Delivery[] = [];
  for await (const delivery of consumer) {
    taken.push(delivery);
    await delivery.settle({ as: "ack" });
    await consumer.stop();
  }
  return taken;
}
