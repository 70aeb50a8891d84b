/**
 * The reducer against a real RabbitMQ where time matters: ends of messages and queues, dead letters (R-TTL1-2, R-EXP1, R-DLX1-3). The
 * fake's time is moved by hand, the real one's passes; the scripts leave so much room that a slow machine changes nothing. Random sequences
 * beside them (P11): `npm run test:long -- rabbit-time` runs many more.
 *
 * @module
 */
import { afterAll, expect, inject, test } from "vitest";
import { until } from "../support/wait.ts";
import { differential } from "./rabbit/differential.ts";
import { FakeServer } from "./rabbit/fake.ts";
import { time } from "./rabbit/profiles.ts";
import { RealRun } from "./rabbit/real.ts";
import { RealServer } from "./rabbit/server.ts";
import { type Names, namesOf, type QueueOptions, type Step } from "./rabbit/step.ts";

/** Random sequences, and a seed with which so few of them meet every class of events. */
const RUNS = 40;
const SEED = 20_261_501;
/** They mostly wait. */
const LANES = 20;
/** ms. */
const UNIT = 200;

const server = new RealServer(inject("amqp"));
afterAll(() => server[Symbol.asyncDispose]());

/** Short steps of a script; all of them on the first channel. */
class Script {
  readonly steps: Step[] = [];
  readonly #names: Names;

  constructor(names: Names) {
    this.#names = names;
  }

  name(queue: number): string {
    return this.#names.queues[queue] ?? "";
  }

  declare(queue: number, table: Readonly<Record<string, unknown>> = {}, passive = false): this {
    const options: QueueOptions = { durable: true, exclusive: false, autoDelete: false, arguments: table };
    this.steps.push({ do: "declare", slot: 0, queue: this.name(queue), passive, ...options });
    return this;
  }

  publish(queue: number, body: string, expiration?: number): this {
    this.steps.push({
      do: "publish",
      slot: 0,
      exchange: "",
      routingKey: this.name(queue),
      bodies: [body],
      mandatory: true,
      ...(expiration === undefined ? {} : { expiration: String(expiration) }),
    });
    return this;
  }

  get(queue: number, noAck = true): this {
    this.steps.push({ do: "get", slot: 0, queue: this.name(queue), noAck });
    return this;
  }

  settle(how: "ack" | "nack" | "reject", deliveryTag: number, requeue = true): this {
    this.steps.push({ do: how, slot: 0, deliveryTag, multiple: false, requeue });
    return this;
  }

  consume(queue: number): this {
    const how = { noAck: false, exclusive: false };
    this.steps.push({ do: "consume", slot: 0, queue: this.name(queue), tag: "t", ...how });
    return this;
  }

  cancel(): this {
    this.steps.push({ do: "cancel", slot: 0, tag: "t" });
    return this;
  }

  wait(ms: number): this {
    this.steps.push({ do: "wait", slot: 0, ms });
    return this;
  }

  /** Arguments that send the dead to another queue. */
  dead(queue: number, more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
    return { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": this.name(queue), ...more };
  }
}

test.concurrent.each<[string, (script: Script) => void]>([
  [
    "messages end with their queue's time",
    (s) => s.declare(0, { "x-message-ttl": 200 }).publish(0, "1").wait(500).get(0),
  ],
  ["the shorter of two times counts", (s) => {
    s.declare(0, { "x-message-ttl": 60_000 }).publish(0, "1", 200).wait(500).get(0);
    s.declare(1, { "x-message-ttl": 200 }).publish(1, "2", 60_000).wait(500).get(1);
  }],
  [
    "only the head ends",
    (s) => s.declare(0).publish(0, "long", 60_000).publish(0, "short", 100).wait(400).get(0).get(0),
  ],
  ["a requeue keeps its end", (s) => {
    s.declare(0, { "x-message-ttl": 700 }).publish(0, "1").get(0, false).wait(400).settle("nack", 1).wait(600)
      .get(0);
  }],
  ["what is held beyond its end is gone when it is back", (s) => {
    s.declare(0, { "x-message-ttl": 200 }).publish(0, "1").consume(0).wait(500).settle("nack", 1).get(0);
  }],
  ["the dead are told why and where", (s) => {
    s.declare(0).declare(1, s.dead(0, { "x-message-ttl": 200 })).publish(1, "1").publish(1, "2", 100).wait(
      600,
    ).get(0).get(0);
  }],
  ["a repeat counts up and stays as it was first told", (s) => {
    s.declare(0, s.dead(1)).declare(1, s.dead(0, { "x-message-ttl": 200 })).publish(1, "1", 60_000).wait(500);
    for (let round = 1; round <= 3; round++) s.get(0, false).settle("reject", round, false).wait(500);
    s.get(0);
  }],
  ["a cycle of time alone ends", (s) => {
    s.declare(0, s.dead(1, { "x-message-ttl": 200 })).declare(1, s.dead(0, { "x-message-ttl": 200 })).publish(
      0,
      "1",
    ).wait(800);
    s.get(0).get(1);
  }],
  ["dead letters of a deleted queue's time are none", (s) => {
    s.declare(0).declare(1, s.dead(0, { "x-expires": 200 })).publish(1, "1").wait(600).declare(1, {}, true);
  }],
  ["a consumer keeps its queue, its leave begins the time", (s) => {
    s.declare(0, { "x-expires": 400 }).consume(0).wait(900).declare(0, {}, true).cancel().wait(900).declare(
      0,
      {},
      true,
    );
  }],
  ["asking renews a queue", (s) => {
    s.declare(0, { "x-expires": 900 });
    for (let round = 0; round < 3; round++) s.wait(500).get(0);
    for (let round = 0; round < 3; round++) s.wait(500).declare(0, {}, true);
    s.wait(1500).declare(0, {}, true);
  }],
  ["publishing does not renew a queue", (s) => {
    s.declare(0, { "x-expires": 900 }).wait(500).publish(0, "1").wait(800).publish(0, "2");
  }],
])("%s", async (_, write) => {
  const names = namesOf(`celeriac.time.${crypto.randomUUID()}`);
  const script = new Script(names);
  write(script);
  const [fake, real] = [new FakeServer(), new RealRun(server)];
  await real.start();
  try {
    for (const step of script.steps) {
      fake.run(step);
      await real.run(step);
    }
    await until(() => JSON.stringify(real.traces) === JSON.stringify(fake.traces), {
      what: "the same",
      deadline: 2000,
    })
      .catch(() => undefined);
    expect(JSON.parse(JSON.stringify(real.traces[0]))).toEqual(JSON.parse(JSON.stringify(fake.traces[0])));
  } finally {
    await real.end();
    await server.clean(names, fake.owners());
  }
});

test.concurrent(
  "P11: random ends of messages and queues and dead letters are the same on the reducer and on RabbitMQ as time passes",
  async () => {
    const report = await differential({
      url: inject("amqp"),
      profile: time(UNIT),
      runs: RUNS,
      seed: SEED,
      lanes: LANES,
    });
    const { cover, leftOut, sequences, steps, tooSlow } = report;
    console.log(
      `${cover}; ${steps} steps compared, ${leftOut} left to chance, ${tooSlow} sequences too slow to say`,
    );
    expect(sequences + tooSlow).toBe(RUNS);
    // Where this machine can keep no time at all, nothing was shown.
    expect(sequences).toBeGreaterThan(0);
    if (tooSlow === 0) expect(cover.missing).toEqual([]);
  },
  300_000,
);
