/**
 * Workers and senders on a RabbitMQ of their own, which is broken in every way.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import type { Outgoing, Verdict } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { consumerTimeout, countsOf, deleteQueue } from "../support/rabbit.ts";
import { type RabbitServer, startRabbit } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { Rig, task } from "../amqp/rig.ts";
import { bench, QUICK } from "./bench.ts";
import { blockedRun } from "./blocked-run.ts";
import { cutRun, LIMIT } from "./cuts-run.ts";
import { outages } from "./outages.ts";
import { parkedRun } from "./parked-run.ts";
import { restartRun } from "./restarts-run.ts";

let server: RabbitServer;

beforeAll(async () => {
  server = await startRabbit({ config: ["max_message_size = 17825792"] });
}, 150_000);

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
}, 30_000);

test(
  "A01: after resets, black holes and refusals the next task runs in time, and meanwhile health is red",
  async () => {
    const kinds = ["reset", "closed", "black hole", "black hole that ends", "refused for a while"] as const;
    const { cover, repeated, slowest } = await cutRun({
      ...{ server, kinds, cuts: kinds.length, hole: 3000, away: 0 },
    });
    console.log(`${cover}; the slowest ${slowest.toFixed(0)} ms, ${repeated} ran twice`);
    expect(cover.missing).toEqual([]);
    expect(slowest).toBeLessThan(LIMIT);
  },
  120_000,
);

test(
  "A16, A07: restarts in the middle of a task: a late ack harms nobody, the second run is flagged, no publish is lost in silence",
  async () => {
    const { cover, publishes } = await restartRun({ server, restarts: 2 });
    console.log(`${cover}; publishes after a restart: ${JSON.stringify(publishes)}`);
    expect(cover.missing).toEqual([]);
    expect(publishes.confirmed).toBeGreaterThan(0);
  },
  120_000,
);

test(
  "A08: a body over the broker's limit is an error with the broker's words, and so is one over ours before it is sent; others go on",
  async () => {
    await using rig = await bench(server);
    const ran: number[] = [];
    rig.app.task("t.size", (text: string) => void ran.push(text.length));
    await rig.work();
    const send = (size: number): Promise<unknown> =>
      rig.sender.sendTask("t.size", { args: ["x".repeat(size)] });
    const [large, small] = await Promise.allSettled([send(17 * 1024 * 1024 + 1), send(10)]);
    expect(large).toMatchObject({
      status: "rejected",
      reason: { code: "publish-refused", message: expect.stringMatching(/17825792/) },
    });
    expect(small.status).toBe("fulfilled");
    const careful = amqpBroker(server.url, { ...QUICK, maxMessage: 1000 });
    const verdicts = await careful.publish([task(rig.queue, "y".repeat(1001))]);
    expect(verdicts).toMatchObject([{ is: "refused", retry: false }]);
    await careful.close();
    await until(() => ran.length === 1, { what: "the small one" });
    expect(ran).toEqual([10]);
  },
  60_000,
);

test(
  "A09: cut at every byte of publish and confirm, each publish settles once, and a confirmed one is there",
  async () => {
    await using rig = await Rig.start(server.url);
    const tally: Record<string, number> = {};
    let at = 0;
    for (let whole = false; !whole; at++) {
      const queue = await rig.queue();
      const broker = rig.broker({ ...QUICK, reconnect: { min: "5ms", max: "20ms" } });
      await broker.connect();
      await broker.publish([task(queue, "first")]);
      let left = at;
      rig.proxy.slice(1);
      rig.proxy.onChunk = (_direction, bytes) => {
        // What a chunk holds beyond the cut is lost with it.
        left -= bytes.length;
        if (left < 0) rig.proxy.cut();
      };
      const [verdict] = await broker.publish([task(queue, "cut")], { deadline: Date.now() + 3000 });
      whole = left >= 0;
      rig.proxy.onChunk = undefined;
      rig.proxy.heal();
      const is = verdict?.is ?? "nothing";
      tally[is] = (tally[is] ?? 0) + 1;
      const there = await rig.count(queue);
      if (is === "confirmed") expect(there).toBe(2);
      else expect(is).toBe("unknown");
      await broker.close();
      // A publish and its confirm are a few chunks of some hundred bytes.
      if (!whole) at += 6;
      if (at > 4000) throw new Error("it never came through");
    }
    console.log(`cut before byte ${at}: ${JSON.stringify(tally)}`);
    expect(tally["unknown"]).toBeGreaterThan(5);
    expect(tally["confirmed"]).toBeGreaterThan(0);
  },
  60_000,
);

test("A10: the confirm of a publish that was given up does not confirm the next one, which is refused", async () => {
  await using rig = await Rig.start(server.url);
  const queue = await rig.queue();
  const full = rig.entity({ arguments: { "x-max-length": 1, "x-overflow": "reject-publish" } });
  await rig.direct.declare([full]);
  await rig.fill(full.name, ["the only one"]);
  const broker = rig.broker();
  await broker.publish([task(queue, "warm")]);
  rig.proxy.blackhole("down");
  const late = await broker.publish([task(queue, "late")], { deadline: Date.now() + 200 });
  expect(late).toMatchObject([{ is: "unknown" }]);
  const next: Promise<readonly Verdict[]> = broker.publish([task(full.name, "refused") satisfies Outgoing]);
  await until(async () => await rig.count(queue) === 2, { what: "the late one at the broker" });
  rig.proxy.heal();
  expect(await next).toMatchObject([{ is: "refused", retry: true }]);
  expect(await broker.publish([task(queue, "after")])).toMatchObject([{ is: "confirmed" }]);
});

test(
  "A14: a task that blocks its thread beyond two heartbeats is told of by name; the worker goes on",
  async () => {
    const { begun, connections, told } = await blockedRun({ server, seconds: 4, heartbeat: "1s" });
    console.log(`begun ${begun} times, ${connections} connections`);
    expect(told).toBeGreaterThan(0);
  },
  60_000,
);

test(
  "A15: a queue that is deleted under a worker is declared and consumed again within five seconds, and health is red until then",
  async () => {
    await using rig = await bench(server);
    rig.app.task("t.add", (x: number, y: number) => x + y);
    const { worker } = await rig.work();
    let redAt = 0;
    const deleting = deleteQueue(server, rig.queue);
    const took = await until(() => {
      const { healthy } = worker.health();
      if (!healthy && redAt === 0) redAt = performance.now();
      return healthy && redAt > 0 && performance.now() - redAt;
    }, { what: "the queue again", deadline: 30_000, every: 1 });
    await rig.said(/^error consumer: Cannot consume: The broker cancelled the consumer/);
    await deleting;
    const { id } = await rig.sender.sendTask("t.add", { args: [2, 3] });
    expect(await rig.app.result(id).get({ timeout: 5 })).toBe(5);
    console.log(`consumed again ${took.toFixed(0)} ms after the deletion`);
    expect(took).toBeLessThan(5000);
  },
  60_000,
);

test("A26: the window that a worker asks for is per consumer, and the same after losses", async () => {
  await using rig = await bench(server);
  const gate = deferred<void>();
  using _open = { [Symbol.dispose]: () => gate.resolve() };
  rig.app.task("t.hold", { acksLate: true }, () => gate.promise);
  const globals: boolean[] = [];
  rig.proxy.onChunk = (direction, bytes) => {
    if (direction === "up") globals.push(...qosFrames(bytes));
  };
  const { worker } = await rig.work({ concurrency: 2, prefetchMultiplier: 3 });
  for (let i = 0; i < 20; i++) await rig.sender.sendTask("t.hold");
  const { active, reserved } = worker.snapshot();
  await until(() => worker.snapshot().reserved.length === 4, {
    what: "a full window",
    seen: () => `${active.length} and ${reserved.length}`,
  });
  for (let loss = 1; loss <= 5; loss++) {
    const back = rig.lines.filter((line) => line.startsWith("info Connected to")).length;
    rig.proxy.cut();
    // Two go on under the first link and hold their slots; what comes again waits behind them.
    await until(
      () =>
        rig.lines.filter((line) => line.startsWith("info Connected to")).length > back &&
        worker.snapshot().reserved.length === 6,
      {
        what: `a full window after loss ${loss}`,
        deadline: 15_000,
        seen: () => `${worker.snapshot().reserved.length} that wait`,
      },
    );
  }
  expect(await countsOf(server, rig.queue)).toEqual({ ready: 14, unacknowledged: 6 });
  expect(globals.length).toBeGreaterThan(5);
  expect(globals).not.toContain(true);
}, 90_000);

/** The `global` bit of each basic.qos (60.10) in whole frames. */
function qosFrames(bytes: Uint8Array): boolean[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: boolean[] = [];
  for (let at = bytes[0] === 65 ? 8 : 0; at + 11 <= bytes.length; at += view.getUint32(at + 3) + 8) {
    const isQos = view.getUint8(at) === 1 && view.getUint16(at + 7) === 60 && view.getUint16(at + 9) === 10;
    if (isQos) found.push((view.getUint8(at + 17) & 1) === 1);
  }
  return found;
}

describe("A32: a channel that the broker closes over a held message", () => {
  test("is opened again, and the worker goes on; the second run is flagged", async () => {
    await consumerTimeout(server, 1000, 300);
    try {
      await using rig = await bench(server);
      const gate = deferred<void>();
      const flags: boolean[] = [];
      rig.app.task("t.long", { bind: true, acksLate: true }, async (running) => {
        flags.push(running.delivery.redelivered);
        if (flags.length === 1) await gate.promise;
      });
      rig.app.task("t.next", () => "ran");
      const { ended } = await rig.work();
      await rig.sender.sendTask("t.long");
      await rig.said(/^error consumer: Cannot consume: A message of .* was held for too long/);
      await until(() => flags.length === 2, { what: "the second run", deadline: 20_000 });
      gate.resolve();
      await rig.said(/settlement-stale/);
      const { id } = await rig.sender.sendTask("t.next");
      expect(await rig.app.result(id).get({ timeout: 10 })).toBe("ran");
      expect(flags).toEqual([false, true]);
      expect(ended()).toBeUndefined();
    } finally {
      await consumerTimeout(server);
    }
  }, 60_000);
});

outages(() => server);

test(
  "A21: tasks whose time is far wait in the broker, what is due meanwhile is served, each runs once and none too early",
  async () => {
    const report = await parkedRun({ server, tasks: 1000, first: 15_000, spread: 2000 });
    console.log(report);
    expect(report.probes).toBeGreaterThan(0);
    // Half of a window of 40 may wait in the worker, the other half is on its way.
    expect(report.held).toBeLessThanOrEqual(40);
  },
  120_000,
);
