/**
 * What can only be done to a RabbitMQ of one's own: alarms, limits, kills, pauses.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { WebSocket } from "ws";
import { amqpBroker, amqpPublisher } from "../../adapters/amqp/tcp.ts";
import { amqpBroker as overWebSocket } from "../../adapters/amqp/websocket.ts";
import { memoryBackend, memoryBroker, MemoryWorld } from "../../adapters/memory/mod.ts";
import { Celery } from "../../src/app/app.ts";
import { innerOf } from "../../src/app/inner.ts";
import type { Running } from "../../src/app/running.ts";
import type { Broker, Delivery, QueueEntity } from "../../src/broker.ts";
import { packTask } from "../../src/protocol/task.ts";
import { exerciseBroker } from "../../src/testing/mod.ts";
import { rabbitFeatures } from "../contract/rabbit-features.ts";
import { Worker as TaskWorker } from "../../src/worker/worker.ts";
import { addUser, closeConnections, consumerTimeout, memoryAlarm, restartApp } from "../support/rabbit.ts";
import { type Relay, startRelay } from "../support/relay.ts";
import { type RabbitServer, startRabbit } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { consuming, events, everything, kinds, QUICK, Rig, take, task, times, urlWith } from "./rig.ts";

let server: RabbitServer;
beforeAll(async () => {
  server = await startRabbit({ config: ["max_message_size = 100000"] });
}, 150_000);
afterAll(() => server?.[Symbol.asyncDispose]());

const QUIET = { log: () => {} };
// Node 20 has none of its own.
const OWN_SOCKET = typeof globalThis.WebSocket === "undefined" ? { webSocket: WebSocket } : {};

async function first(source: AsyncIterable<Delivery>): Promise<Delivery> {
  for await (const delivery of source) return delivery;
  throw new Error("the iteration ended");
}

describe("A08: a body that the broker takes for too large", () => {
  test("is refused for good with its words, and those behind it are published", async () => {
    await using rig = await Rig.start(server.url);
    const queue = await rig.queue();
    const broker = rig.broker();
    const batch = [task(queue), task(queue, "x".repeat(150_000)), ...times(20, () => task(queue))];
    const verdicts = await broker.publish(batch);
    expect(verdicts[1]).toMatchObject({
      is: "refused",
      retry: false,
      reason: expect.stringMatching(/150000.*100000/),
    });
    // The first one was taken, but its confirm may have been lost with the channel.
    expect(["confirmed", "unknown"]).toContain(verdicts[0]?.is);
    expect(new Set(kinds(verdicts.slice(2)))).toEqual(new Set(["confirmed"]));
    expect(await rig.count(queue)).toBe(21);
  });
});

describe("a user that may only write", () => {
  test('publishes with topology "leave", and is refused to declare', async () => {
    await using rig = await Rig.start(server.url);
    const [username, password] = ["writer", "canary-4410"];
    await addUser(server, { name: username, password, may: ["", ".*", ""] });
    const queue = rig.entity();
    await rig.direct.declare([queue]);
    const url = urlWith({ username, password }, rig.url);
    const call = { declare: [queue, { ...queue, name: `no.${queue.name}` }] };
    const batch = [task(queue.name), task(`no.${queue.name}`)];
    expect(kinds(await amqpPublisher(url, { topology: "leave" }).publish(batch, call)))
      .toEqual(["confirmed", "unroutable"]);
    expect(await rig.count(queue.name)).toBe(1);
    const error: unknown = await amqpPublisher(url).publish(batch, call).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: "ConfigurationError", code: "topology-refused" });
    expect(everything(error)).not.toContain(password);
    expect(await rig.count(queue.name)).toBe(1);
  });
});

test("what another user sent, with copies for other queues, is retried and put aside, and each copy is one", async () => {
  await using rig = await Rig.start(server.url);
  const [username, password] = ["other", "canary-5521"];
  await addUser(server, { name: username, password, may: ["", ".*", ""] });
  const plain = rig.entity({ arguments: {} });
  await rig.direct.declare([plain]);
  const [queue, beside] = [plain.name, await rig.queue()];
  const to = { exchange: "", routingKey: queue };
  const publisher = amqpPublisher(urlWith({ username, password }, rig.url), { topology: "leave" });
  for (const [name, id] of [["t.again", "id-1"], ["t.poison", "id-2"]] as const) {
    const { headers, properties, ...content } = await packTask({ task: name, id, origin: "o", replyTo: "r" });
    const message = {
      ...content,
      headers: { ...headers, CC: [beside] },
      properties: { ...properties, user_id: username },
    };
    expect(kinds(await publisher.publish([{ message, to, mustRoute: true }]))).toEqual(["confirmed"]);
  }
  await publisher.close();
  await rig.counts(beside, 2);
  // Each comes again.
  const before = rig.direct.consume([queue], { prefetch: 2 });
  const taken: Delivery[] = [];
  for await (const delivery of before) if (taken.push(delivery) === 2) break;
  for (const delivery of taken) await delivery.settle({ as: "requeue" });
  await before.stop();

  const app = new Celery("copies", { broker: rig.broker(), backend: memoryBackend(), logger: QUIET });
  const seen = events(innerOf(app).broker());
  const runs: string[] = [];
  const options = { bind: true, acksLate: true } as const;
  app.task("t.again", { ...options, maxDeliveries: null }, (running: Running) => {
    runs.push(`again ${running.retries}`);
    if (running.retries === 0) running.retry({ countdown: 0 });
  });
  app.task("t.poison", { ...options, maxDeliveries: 1 }, () => void runs.push("poison"));
  const worker = new TaskWorker(app, { queues: [queue], blockedLimit: null });
  const done = worker.run();
  await until(async () =>
    (await app.result("id-2").state()) === "FAILURE" &&
    (await app.result("id-1").state()) === "SUCCESS", { what: "both ends" });
  await worker.stop();
  await done;
  await rig.counts(`${queue}.dead`, 1);
  expect(runs).toEqual(["again 0", "again 1"]);
  expect(await rig.count(beside)).toBe(2);
  expect(await rig.count(queue)).toBe(0);
  expect(seen.filter(({ is }) => is === "down")).toEqual([]);
  await rig.direct.purge(`${queue}.dead`);
  await app.close();
});

describe("A06: a memory alarm", () => {
  test("settles publishes by their deadline, leaves consuming alone, and ends", async () => {
    await using rig = await Rig.start(server.url);
    const queue = await rig.queue();
    await rig.fill(queue, times(20, String));
    const broker = rig.broker();
    const seen = events(broker);
    await broker.publish([task("nowhere.at.all")]);
    const consumer = broker.consume([queue], { prefetch: 2 });
    await consuming(consumer);
    try {
      await memoryAlarm(server, true);
      const started = Date.now();
      // The broker notices the publish, stops to read, and says so.
      const one = broker.publish([task(queue)], { deadline: started + 700 });
      await until(() => seen.find(({ is }) => is === "blocked"), { what: "news of the alarm" });
      expect(seen.find(({ is }) => is === "blocked")).toMatchObject({
        reason: expect.stringMatching(/memory/),
      });
      const two = await broker.publish([task(queue)], { deadline: Date.now() + 200 });
      expect(two).toMatchObject([{
        is: "refused",
        retry: true,
        reason: expect.stringMatching(/takes no messages.*memory/),
      }]);
      expect(kinds(await one)).toEqual(["unknown"]);
      expect(Date.now() - started).toBeLessThan(3000);
      // The other connection works on: deliveries, acks, questions, declarations.
      let got = 0;
      for await (const delivery of consumer) {
        await delivery.settle({ as: "ack" });
        if (++got === 20) break;
      }
      expect(await broker.count(queue)).toBe(0);
      await broker.declare([rig.entity()]);
      // What waits when the alarm ends is sent then.
      const waiting = broker.publish([task(queue, "waited")]);
      await memoryAlarm(server, false);
      await until(() => seen.find(({ is }) => is === "unblocked"), { what: "the end of the alarm" });
      expect(kinds(await waiting)).toEqual(["confirmed"]);
    } finally {
      await memoryAlarm(server, false);
    }
    expect(kinds(await broker.publish([task(queue)]))).toEqual(["confirmed"]);
  });
});

test(
  "A06: tasks for later that meet an alarm are held, and run at their time",
  async () => {
    await using rig = await Rig.start(server.url);
    const entity: QueueEntity = { ...rig.entity(), arguments: {} };
    const queue = entity.name;
    await rig.direct.declare([entity]);
    const app = new Celery("later", { broker: rig.broker(), logger: QUIET, workerParkAfter: "100ms" });
    const ran = new Map<string, number>();
    app.task("t.later", { bind: true }, (running: Running) => void ran.set(running.id, Date.now()));
    const send = async (id: string, eta: number): Promise<void> => {
      const { headers } = await packTask({ task: "t.later", id, origin: "o", replyTo: "r" });
      const message = { ...task(queue).message, headers: { ...headers, eta: new Date(eta).toISOString() } };
      expect(kinds(await rig.direct.publish([{ ...task(queue), message }]))).toEqual(["confirmed"]);
    };
    const first = new TaskWorker(app, { queues: [queue], blockedLimit: null });
    const done = first.run();
    // It declares the delay queues, and makes the connection one that publishes.
    await send("first", Date.now() + 1000);
    await until(() => ran.size === 1, { what: "the first", deadline: 60_000 });
    await first.stop();
    await done;
    const eta = Date.now() + 15_000;
    await send("one", eta);
    await send("two", eta);
    const second = new TaskWorker(app, { queues: [queue], blockedLimit: null });
    let running: Promise<void> | undefined;
    try {
      await memoryAlarm(server, true);
      running = second.run();
      await until(() => second.snapshot().reserved.length === 2, { what: "both held", deadline: 30_000 });
      expect(Date.now()).toBeLessThan(eta);
      await until(() => ran.size === 3, { what: "the runs", deadline: 60_000 });
      expect(Math.max(...ran.values()) - eta).toBeLessThan(5000);
      expect(Math.min(...[...ran.values()].slice(1))).toBeGreaterThanOrEqual(eta);
    } finally {
      await memoryAlarm(server, false);
      await second.stop();
      await running;
      await app.close();
    }
  },
  120_000,
);

describe("a connection for one call", () => {
  test("during an alarm: what was written is unknown, what waited is refused with the broker's reason", async () => {
    await using rig = await Rig.start(server.url);
    const queue = await rig.queue();
    const broker = rig.broker({ link: "call", maxInFlight: 1 });
    try {
      await memoryAlarm(server, true);
      const verdicts = await broker.publish(times(3, () => task(queue)), { deadline: Date.now() + 500 });
      expect(kinds(verdicts)).toEqual(["unknown", "refused", "refused"]);
      expect(verdicts[2]).toMatchObject({
        retry: true,
        reason: expect.stringMatching(/takes no messages: .*memory/),
      });
      const waiting = broker.publish(times(3, () => task(queue)));
      await memoryAlarm(server, false);
      expect(kinds(await waiting)).toEqual(["confirmed", "confirmed", "confirmed"]);
    } finally {
      await memoryAlarm(server, false);
    }
  });

  test("a body over the broker's limit is refused; of others beside it nothing false is said", async () => {
    await using rig = await Rig.start(server.url);
    const queue = await rig.queue();
    const broker = rig.broker({ link: "call" });
    const large = task(queue, "x".repeat(150_000));
    expect(await broker.publish([large])).toMatchObject([
      { is: "refused", retry: false, reason: expect.stringMatching(/150000.*100000/) },
    ]);
    const verdicts = await broker.publish([task(queue), large, task(queue)]);
    expect(verdicts[1]).toMatchObject({ is: "unknown", reason: expect.stringMatching(/150000.*100000/) });
    expect(kinds(verdicts)).not.toContain("refused");
  });
});

describe("a publish that waits for its confirm while the broker closes the connection", () => {
  test("is unknown, also when it is the only one: the broker named no culprit", async () => {
    await using rig = await Rig.start(server.url);
    const queue = await rig.queue();
    const broker = rig.broker();
    await broker.publish([task(queue)]);
    const seen = events(broker);
    try {
      // The alarm only keeps the confirm from coming.
      await memoryAlarm(server, true);
      const verdicts = broker.publish([task(queue)]);
      await until(() => seen.find(({ is }) => is === "blocked"), { what: "news of the alarm" });
      await closeConnections(server, "chaos");
      expect(await verdicts).toMatchObject([{ is: "unknown", reason: expect.stringContaining("chaos") }]);
    } finally {
      await memoryAlarm(server, false);
    }
  });
});

describe("A32: a delivery that is held longer than the broker's consumer_timeout", () => {
  test("is lost and comes again, and the consumer goes on", async () => {
    await consumerTimeout(server, 1000, 300);
    try {
      await using rig = await Rig.start(server.url);
      const queue = await rig.queue();
      await rig.fill(queue, ["slow"]);
      const broker = rig.broker();
      const seen = events(broker);
      const consumer = broker.consume([queue], { prefetch: 1 });
      const held = await first(consumer);
      let lost = false;
      held.onLost(() => lost = true);
      await until(() => lost, { what: "the loss of the delivery" });
      expect(seen.find(({ is }) => is === "down")).toMatchObject({ error: { code: "consumer-timeout" } });
      const again = await first(consumer);
      expect(await held.settle({ as: "ack" })).toBe("stale");
      expect(again.redelivered).toBe(true);
      expect(await again.settle({ as: "ack" })).toBe("settled");
      await consumer.stop();
      expect(await rig.count(queue)).toBe(0);
    } finally {
      await consumerTimeout(server);
    }
  });
});

test(
  "A05: a task due later than the consumer_timeout is parked out of its reach, and runs once, at its time",
  async () => {
    await using rig = await Rig.start(server.url);
    const entity: QueueEntity = { ...rig.entity(), arguments: {} };
    const queue = entity.name;
    const broker = rig.broker();
    const seen = events(broker);
    const app = new Celery("late", { broker, logger: { log: () => {} }, workerParkAfter: "1s" });
    const ran: (readonly [id: string, at: number])[] = [];
    app.task("late.run", { acksLate: true, bind: true }, (task) => void ran.push([task.id, Date.now()]));
    await rig.direct.declare([entity]);
    const send = async (id: string, eta: number): Promise<void> => {
      await rig.direct.publish([{
        message: {
          ...task(queue).message,
          headers: { task: "late.run", id, eta: new Date(eta).toISOString() },
          body: new TextEncoder().encode("[[], {}, {}]"),
        },
        to: { exchange: "", routingKey: queue },
        mustRoute: true,
      }]);
    };
    const worker = new TaskWorker(app, { queues: [queue] });
    const run = worker.run();
    // The first park declares the ladder, which takes a busy machine longer than the timeout.
    await send("first", Date.now() + 2000);
    await until(() => ran.length === 1, { what: "the run of the first", deadline: 60_000 });
    await consumerTimeout(server, 2000, 500);
    try {
      const eta = Date.now() + 6000;
      await send("late", eta);
      await until(() => ran.length > 1, { what: "the run", deadline: 30_000 });
      await worker.stop();
      await run;
      expect(ran.map(([id]) => id)).toEqual(["first", "late"]);
      expect(ran[1]?.[1]).toBeGreaterThanOrEqual(eta);
      expect(seen.filter(({ is }) => is === "down")).toEqual([]);
      expect(await rig.count(queue)).toBe(0);
      console.log(`A05: ran ${(ran[1]?.[1] ?? 0) - eta} ms after its time`);
    } finally {
      await consumerTimeout(server);
    }
  },
  120_000,
);

describe("a broker that", () => {
  test("closes all connections is reconnected to, and its words are told", async () => {
    await using rig = await Rig.start(server.url);
    const queue = await rig.queue();
    const broker = rig.broker();
    const seen = events(broker);
    const consumer = broker.consume([queue], { prefetch: 1 });
    await consuming(consumer);
    await broker.publish([task("nowhere.at.all")]);
    await closeConnections(server, "chaos");
    await until(() => seen.filter(({ is }) => is === "down").length >= 2, { what: "news of both links" });
    const down = seen.find(({ is }) => is === "down");
    expect(down).toMatchObject({
      error: { code: "broker-closed", message: expect.stringContaining("chaos") },
    });
    await until(async () => kinds(await broker.publish([task(queue, "after")]))[0] === "confirmed", {
      what: "a confirm",
    });
    await first(consumer);
  });

  test(
    "is killed in the middle of publishing keeps all that it confirmed, and is consumed again",
    async () => {
      await using rig = await Rig.start(server.url);
      const entity = rig.entity({ arguments: {} });
      const broker = rig.broker();
      await broker.declare([entity]);
      const sentinel = rig.entity({ arguments: {} });
      await broker.declare([sentinel]);
      const consumer = broker.consume([sentinel.name], { prefetch: 1 });
      await consuming(consumer);
      let sent = 0;
      const tally = new Map<string, number>();
      const publishing = (async () => {
        for (; sent < 100_000;) {
          const batch = times(50, () => task(entity.name, `${sent++}`));
          const verdicts = await broker.publish(batch);
          for (const { is } of verdicts) tally.set(is, (tally.get(is) ?? 0) + 1);
          if (verdicts.some(({ is }) => is !== "confirmed")) return;
        }
      })();
      await until(() => (tally.get("confirmed") ?? 0) > 500, { what: "some confirms" });
      await server.kill9();
      await publishing;
      await server.start();
      const confirmed = tally.get("confirmed") ?? 0;
      const doubtful = tally.get("unknown") ?? 0;
      console.log(
        `killed after ${confirmed} confirmed, ${doubtful} unknown, ${tally.get("refused") ?? 0} refused`,
      );
      await until(async () => kinds(await broker.publish([task(sentinel.name)]))[0] === "confirmed", {
        what: "a confirm after the restart",
        deadline: 20_000,
      });
      const stored = await broker.count(entity.name);
      expect(stored).toBeGreaterThanOrEqual(confirmed);
      expect(stored).toBeLessThanOrEqual(confirmed + doubtful);
      await first(consumer);
      await broker.purge(entity.name);
    },
    60_000,
  );

  test("stands still settles publishes and connects by their deadlines, and is as before when it wakes", async () => {
    await using rig = await Rig.start(server.url);
    const queue = await rig.queue();
    const broker = rig.broker();
    await broker.publish([task(queue)]);
    await server.pause();
    try {
      expect(kinds(await broker.publish([task(queue)], { deadline: Date.now() + 200 }))).toEqual(["unknown"]);
      const other = rig.broker({ connectTimeout: "200ms" });
      await expect(other.connect()).rejects.toMatchObject({ code: "broker-timeout" });
    } finally {
      server.resume();
    }
    expect(kinds(await broker.publish([task(queue)]))).toEqual(["confirmed"]);
    await rig.counts(queue, 3);
  });
});

/** What is left of four messages after a kill, and what each says of itself: one was held, one given back, one new, one transient. */
async function leftAfter(
  kill: (meanwhile: () => Promise<void>) => Promise<void>,
  make: () => Broker,
): Promise<readonly string[]> {
  const entity: QueueEntity = {
    kind: "queue",
    name: `celeriac.killed.${crypto.randomUUID()}`,
    durable: true,
    exclusive: false,
    autoDelete: false,
    arguments: {},
  };
  const [before, holder, after] = [make(), make(), make()];
  await before.declare([entity]);
  const lasting = { delivery_mode: 2 };
  const texts = ["held", "given back", "new"].map((text) => task(entity.name, text, lasting));
  const batch = [...texts, task(entity.name, "transient", { delivery_mode: 1 })];
  expect(new Set(kinds(await before.publish(batch)))).toEqual(new Set(["confirmed"]));
  await take(before.consume([entity.name], { prefetch: 2 }), 2);
  await before.close();
  await take(holder.consume([entity.name], { prefetch: 1 }), 1);
  await kill(() => holder.close());
  try {
    await after.publish([task(entity.name, "later", lasting)]);
    const left = await take(after.consume([entity.name], { prefetch: 4 }), 4);
    return left.map(({ message, redelivered }) =>
      `${new TextDecoder().decode(message.body)} ${redelivered ? "again" : "first"}`
    );
  } finally {
    await after.close();
  }
}

// The rest of the contract runs on the server that all share. A restart takes seconds, and is the server's own affair: one runtime is enough.
if (inject("runtime") === "node") {
  test("what is left after kill -9, its order and its flags, is the same on the fake", async () => {
    const world = new MemoryWorld();
    const fake = await leftAfter(async (meanwhile) => {
      world.crash();
      await meanwhile();
    }, () => memoryBroker({ world }));
    const real = await leftAfter(async (meanwhile) => {
      await server.kill9();
      await meanwhile();
      await server.start();
    }, () => amqpBroker(server.url, QUICK));
    expect(real).toEqual(["held again", "given back again", "new again", "later first"]);
    expect(fake).toEqual(real);
  }, 60_000);

  let relay: Relay;
  beforeAll(async () => {
    relay = await startRelay({ host: "127.0.0.1", port: server.port });
  });
  afterAll(() => relay?.[Symbol.asyncDispose]());

  const ways: readonly (readonly [way: string, make: () => Broker])[] = [
    ["TCP", () => amqpBroker(server.url, QUICK)],
    ["TCP, a link for each call", () => amqpBroker(server.url, { link: "call", ...QUICK })],
    ["WebSocket", () => overWebSocket(relay.url, { ...OWN_SOCKET, ...QUICK })],
  ];
  describe.each(ways)(
    "the contract of a server that is restarted, or takes no messages: over %s",
    (way, make) => {
      const link = way.endsWith("call") ? "call" : "shared";
      const restart = (): Promise<void> => restartApp(server);
      // A link for one call tells nobody of an alarm: its publish has the words ("a connection for one call").
      const alarm = (on: boolean): Promise<void> => memoryAlarm(server, on);
      exerciseBroker(
        {
          make,
          features: rabbitFeatures(link),
          server: link === "shared" ? { restart, alarm } : { restart },
        },
        { test: (name, run) => name.startsWith("server: ") && test(name, run, 60_000) },
      );
    },
  );
}
