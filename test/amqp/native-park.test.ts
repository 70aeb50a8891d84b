/**
 * Parking by kombu's native delayed delivery, where it stands and where it is not as it should be: on a RabbitMQ of the tests' own, from which
 * they take exchanges and queues away.
 *
 * @module
 */
import { type AMQPChannel, AMQPClient } from "@cloudamqp/amqp-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DELAY_DELIVERY, DELAY_ENTRY, kombuPattern } from "../../src/protocol/native-delay.ts";
import { type Broker, Celery, type Consumer, type DelayWay, type Delivery } from "../../mod.ts";
import { Worker } from "../../src/worker/worker.ts";
import { declareParking } from "../support/parking.ts";
import { type RabbitServer, startRabbit } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { Rig, task, times } from "./rig.ts";

let server: RabbitServer;
let rig: Rig;

beforeAll(async () => {
  server = await startRabbit();
  // After so long, ms, a delay queue tries again to hand over what nobody took. 180,000 without this.
  await server.ctl("eval", "application:set_env(rabbit,dead_letter_worker_publisher_confirm_timeout,1000).");
  rig = await Rig.start(server.url);
  await declareParking(server.url);
  await declareNative(rig.direct);
}, 120_000);

afterAll(async () => {
  await rig?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
}, 60_000);

const QUORUM = { "x-queue-type": "quorum" };
const LEVELS = times(28, (level) => `celery_delayed_${level}`);

async function declareNative(broker: Broker, ways: readonly DelayWay[] = []): Promise<void> {
  expect(await broker.declareDelays?.(ways, "quorum", { deadline: Date.now() + 60_000 })).toBe(true);
}

/** Asks past our adapter; an error of the broker's is thrown. */
async function ask<T>(question: (channel: AMQPChannel) => Promise<T>): Promise<T> {
  const client = await new AMQPClient(server.url).connect();
  try {
    return await question(await client.channel());
  } finally {
    if (!client.closed) await client.close();
  }
}

/** Which queues a message waited in: ours alone, or kombu's and what is left. */
type Way = "high" | "ladder" | "native" | undefined;

function wayOf(queue: string): Way {
  if (/^(celery_delayed|celeriac\.delay\.rest)/.test(queue)) return "native";
  return queue.startsWith("celeriac.delay.high.")
    ? "high"
    : queue.startsWith("celeriac.delay.")
    ? "ladder"
    : undefined;
}

/** A message that is parked again and again. */
class Parked {
  readonly queue: string;
  readonly gate: string;
  readonly #consumer: Consumer;
  readonly #deliveries: AsyncIterator<Delivery>;
  #delivery: Delivery | undefined;

  private constructor(queue: string, consumer: Consumer) {
    this.queue = queue;
    this.gate = `celeriac.due.${queue}`;
    this.#consumer = consumer;
    this.#deliveries = consumer[Symbol.asyncIterator]();
  }

  /** A new one, in hand. */
  static async in(queue: string, broker: Broker, priority = 0): Promise<Parked> {
    await rig.direct.publish([task(queue, "[[], {}, {}]", { priority })]);
    const parked = new Parked(queue, broker.consume([queue], { prefetch: 10 }));
    await parked.back();
    return parked;
  }

  get delivery(): Delivery {
    if (this.#delivery === undefined) throw new Error("nothing came yet");
    return this.#delivery;
  }

  async put(ms: number): Promise<void> {
    expect(await this.delivery.settle({ as: "park", until: Date.now() + ms })).toBe("settled");
  }

  async back(): Promise<void> {
    const { value, done } = await this.#deliveries.next();
    if (done === true) throw new Error("the iteration ended");
    this.#delivery = value as Delivery;
  }

  /** No more comes; what is in hand goes. */
  async stop(): Promise<void> {
    await this.delivery.settle({ as: "ack" });
    await this.#consumer.stop();
  }

  /** Parks it for `ms`, and gives the queues that held it, its gate among them, when it is back. */
  async for(ms: number): Promise<ReadonlySet<string>> {
    const from = Date.now();
    await this.put(ms);
    await this.back();
    const took = Date.now() - from;
    // The broker's clock and ours round apart.
    expect(took).toBeGreaterThanOrEqual(ms - 1);
    expect(took).toBeLessThan(ms + 5000);
    const deaths = this.delivery.message.headers["x-death"] as readonly { readonly queue: string }[];
    // RabbitMQ 3.10 lists them in no order.
    return new Set(deaths.map(({ queue }) => queue));
  }

  /** Which way it waits now. The first time declares what is missing, and takes its time for that. */
  async way(): Promise<Way> {
    await this.put(50);
    await this.back();
    const held = await this.for(1300);
    expect(held.has(this.gate)).toBe(true);
    const ways = new Set([...held].filter((queue) => queue !== this.gate).map(wayOf));
    expect(ways.size, [...held].join()).toBe(1);
    return [...ways][0];
  }
}

/** A message in hand of a broker that declared native delayed delivery. */
async function native(ways: readonly DelayWay[] = [], priority = 0): Promise<Parked> {
  const broker = rig.broker();
  await declareNative(broker, ways);
  return await Parked.in(await rig.queue(), broker, priority);
}

test("what is parked three times in a row waits in kombu's queues, and comes out in exactly its queue, not early", async () => {
  const broker = rig.broker();
  const b = `b.${crypto.randomUUID()}`;
  const [ab, exchange] = [`a.${b}`, `x.${b}`];
  await broker.declare([
    { kind: "exchange", name: exchange, type: "topic", durable: true, autoDelete: false },
    ...[b, ab].flatMap((name) => [
      { kind: "queue", name, durable: true, exclusive: false, autoDelete: false, arguments: QUORUM } as const,
      { kind: "binding", queue: name, exchange, routingKey: name } as const,
    ]),
  ]);
  await declareNative(broker, [b, ab].map((queue) => ({ queue, exchange, routingKey: queue })));
  // As Python's workers bind them.
  await ask(async (channel) => {
    for (const queue of [b, ab]) {
      await channel.exchangeBind(exchange, DELAY_DELIVERY, kombuPattern(queue));
      await channel.queueBind(queue, exchange, kombuPattern(queue));
    }
  });
  const both = await Promise.all([b, ab].map((queue) => Parked.in(queue, broker)));
  for (const parked of both) await parked.way();
  await Promise.all(both.map(async (parked) => {
    const { delivery: { route }, gate } = parked;
    const [half, quarter, eighth] = [2, 1, 0].map((rung) => `celeriac.delay.rest.${rung}`);
    expect(await parked.for(1370)).toEqual(new Set(["celery_delayed_0", quarter, eighth, gate]));
    expect(await parked.for(2120)).toEqual(new Set(["celery_delayed_1", eighth, gate]));
    expect(await parked.for(745)).toEqual(new Set([half, quarter, gate]));
    expect(parked.delivery).toMatchObject({ redelivered: false, route });
    await parked.stop();
  }));
  expect([await rig.count(b), await rig.count(ab)]).toEqual([0, 0]);
});

test("what waits is counted there", async () => {
  const parked = await native();
  await parked.put(9000);
  await until(async () => await rig.count("celery_delayed_3") === 1, { what: "the message in its queue" });
  await parked.back();
});

test("a message that went back for later comes again as redelivered, by the way that it came first", async () => {
  const parked = await native();
  const { route } = parked.delivery;
  await parked.delivery.settle({ as: "requeue", notBefore: Date.now() + 1100 });
  await parked.back();
  expect(parked.delivery).toMatchObject({ redelivered: true, route });
});

test("high priorities wait by the ladder of their own", async () => {
  const parked = await native([], 5);
  expect(await parked.way()).toBe("high");
  expect(parked.delivery.route.priority).toBe(5);
});

test.each(["#", "*", "*.*.*", "1"])(
  "what a queue bound by %s would get goes by the ladder",
  async (routingKey) => {
    const queue = await rig.queue();
    const exchange = `x.${queue}`;
    await rig.direct.declare([{
      kind: "exchange",
      name: exchange,
      type: "topic",
      durable: false,
      autoDelete: true,
    }]);
    const parked = await native([{ queue, exchange, routingKey }]);
    expect(await parked.way()).toBe("ladder");
    expect(await rig.count(queue)).toBe(0);
    await ask((channel) => channel.queueDelete(queue));
  },
);

test("a broker that declared no native delayed delivery parks by the ladder", async () => {
  const parked = await Parked.in(await rig.queue(), rig.broker());
  expect(await parked.way()).toBe("ladder");
});

test('with topology "passive" or "leave" it parks by kombu\'s queues where another one did', async () => {
  const declaring = await native();
  expect(await declaring.way()).toBe("native");
  await declaring.stop();
  const [passive, leave] = [rig.broker({ topology: "passive" }), rig.broker({ topology: "leave" })];
  expect(await passive.declareDelays?.([], "quorum")).toBe(false);
  for (const broker of [passive, leave]) {
    // Its gate stands.
    const parked = await Parked.in(declaring.queue, broker);
    expect(await parked.way()).toBe("native");
    await parked.stop();
    // Nobody has parked from there.
    const other = await Parked.in(await rig.queue(), broker);
    await expect(other.put(1300)).rejects.toMatchObject({ code: "park-failed" });
  }
});

test("where ours below kombu's queues is gone a passive one parks by the ladder, and one that declares makes it again", async () => {
  const ladder = await Parked.in(await rig.queue(), rig.broker());
  expect(await ladder.way()).toBe("ladder");
  await ask((channel) => channel.queueDelete("celeriac.delay.rest.1"));
  await ladder.stop();
  const passive = await Parked.in(ladder.queue, rig.broker({ topology: "passive" }));
  expect(await passive.way()).toBe("ladder");
  const declaring = await native();
  expect(await declaring.way()).toBe("native");
});

test("what was taken away is declared once more, and waits there", async () => {
  const parked = await native();
  expect(await parked.way()).toBe("native");
  await ask(async (channel) => {
    await channel.exchangeDelete(DELAY_ENTRY);
    await channel.exchangeDelete(DELAY_DELIVERY);
  });
  await parked.put(5000);
  await until(async () => await rig.count("celery_delayed_2") + await rig.count("celery_delayed_1") > 0, {
    what: "the message in its queue",
  });
  await parked.back();
  expect(await parked.way()).toBe("native");
});

test("where kombu's exchange is another one by now it parks by the ladder, and by kombu's queues again after a reconnect", async () => {
  const parked = await native();
  expect(await parked.way()).toBe("native");
  await ask(async (channel) => {
    await channel.exchangeDelete(DELAY_ENTRY);
    await channel.exchangeDeclare(DELAY_ENTRY, "direct");
  });
  expect(await parked.way()).toBe("ladder");
  await ask((channel) => channel.exchangeDelete(DELAY_ENTRY));
  expect(await parked.way()).toBe("ladder");
  rig.proxy.cut();
  await parked.back();
  expect(await parked.way()).toBe("native");
});

test("where a queue of ours below kombu's has other arguments it parks by the ladder", async () => {
  const name = "celeriac.delay.rest.1";
  await ask(async (channel) => {
    await channel.queueDelete(name);
    await channel.queueDeclare(name, { durable: true });
  });
  const parked = await native();
  expect(await parked.way()).toBe("ladder");
  await ask((channel) => channel.queueDelete(name));
});

test(
  "a gate whose queue was deleted keeps what is due, and hands it over when the queue is there again",
  async () => {
    const entity = rig.entity();
    await rig.direct.declare([entity]);
    const broker = rig.broker();
    const parked = await Parked.in(entity.name, broker);
    // Declares its gate.
    await parked.put(50);
    await parked.back();
    await parked.put(3000);
    await broker.close();
    await ask((channel) => channel.queueDelete(entity.name));
    // What RabbitMQ could not hand over it counts apart.
    const name = `rabbit_misc:r(<<"/">>,queue,<<"${parked.gate}">>)`;
    const asked =
      `{ok,Q}=rabbit_amqqueue:lookup(${name}), [{_,N}]=rabbit_amqqueue:info(Q,[messages_dlx]), N.`;
    await until(async () => (await server.ctl("eval", asked)).trim() === "1", {
      ...{ what: "the message in its gate", every: 100, deadline: 60_000 },
    });
    await ask((channel) => channel.queueDeclare(entity.name, { durable: true }, { "x-expires": 120_000 }));
    await until(async () => await rig.count(entity.name) === 1, { what: "the message", deadline: 30_000 });
  },
  120_000,
);

test("a worker of an app with a quorum queue parks by kombu's queues: its task runs once, at its time", async () => {
  const queue = `native.${crypto.randomUUID()}`;
  const broker = rig.broker();
  await using app = new Celery("native", {
    broker,
    logger: { log: () => {} },
    taskDefaultQueue: queue,
    taskDefaultExchangeType: "topic",
    taskDefaultQueueType: "quorum",
    workerParkAfter: "1s",
  });
  const ran: (readonly [way: Way, at: number])[] = [];
  app.task("native.run", { acksLate: true, bind: true }, (running) => {
    const deaths = running.headers["x-death"] as readonly { readonly queue: string }[];
    ran.push([deaths.map(({ queue: each }) => wayOf(each)).find((way) => way !== undefined), Date.now()]);
  });
  // As a client does that knows no native delayed delivery.
  const send = (id: string, eta: number): Promise<unknown> =>
    rig.direct.publish([{
      message: {
        ...task(queue).message,
        headers: { task: "native.run", id, eta: new Date(eta).toISOString() },
      },
      to: { exchange: "", routingKey: queue },
      mustRoute: true,
    }]);
  const worker = new Worker(app);
  const run = worker.run();
  await until(() => worker.health().healthy, { what: "a worker that consumes", deadline: 30_000 });
  // The first park declares the gate.
  await send("first", Date.now() + 1500);
  await until(() => ran.length === 1, { what: "the first run", deadline: 20_000 });
  const eta = Date.now() + 3000;
  await send("second", eta);
  await until(() => ran.length === 2, { what: "the run", deadline: 20_000 });
  await worker.stop();
  await run;
  expect(ran).toHaveLength(2);
  expect(ran[1]?.[0]).toBe("native");
  expect(ran[1]?.[1]).toBeGreaterThanOrEqual(eta);
  expect(await rig.count(queue)).toBe(0);
});

// The last ones, as they leave it so.
test.each(["arguments", "type"] as const)(
  "where kombu's queues have other %s, it parks by the ladder",
  async (other) => {
    await ask(async (channel) => {
      for (const level of LEVELS) await channel.queueDelete(level);
    });
    const broker = rig.broker();
    if (other === "type") expect(await broker.declareDelays?.([], "classic")).toBe(true);
    else {
      await ask((channel) => channel.queueDeclare("celery_delayed_26", { durable: true }, QUORUM));
      await expect(broker.declareDelays?.([], "quorum")).rejects.toMatchObject({ code: "topology-mismatch" });
    }
    const parked = await Parked.in(await rig.queue(), broker);
    expect(await parked.way()).toBe("ladder");
  },
);
