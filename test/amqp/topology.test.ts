/**
 * Exchanges, queues and bindings on a real RabbitMQ.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { ConfigurationError } from "../../src/errors.ts";
import type { Entity } from "../../src/broker.ts";
import { until } from "../support/wait.ts";
import { consuming, events, kinds, Rig, task } from "./rig.ts";

const DECLARE = "50.10";

describe("declaring", () => {
  test("again on the same connection costs no round trip, however often and at once", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const entity = rig.entity();
    await broker.connect();
    const frames = rig.record();
    await Promise.all(Array.from({ length: 200 }, () => broker.declare([{ ...entity }])));
    await broker.declare([entity]);
    expect(frames.filter(({ method }) => method === DECLARE)).toHaveLength(1);
    const before = frames.length;
    await broker.declare([entity]);
    await broker.declare([{ ...entity }]);
    expect(frames).toHaveLength(before);
  });

  test("exchange, queue and binding in one call takes one round trip", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const entity = rig.entity();
    const exchange = `celeriac.test.${crypto.randomUUID()}`;
    await broker.declare([rig.entity()]);
    const before = rig.proxy.roundTrips;
    await broker.declare([
      { kind: "exchange", name: exchange, type: "topic", durable: false, autoDelete: true },
      entity,
      { kind: "binding", queue: entity.name, exchange, routingKey: "a.#" },
    ]);
    expect(rig.proxy.roundTrips - before).toBeLessThanOrEqual(2);
    expect(kinds(await broker.publish([{ ...task(""), to: { exchange, routingKey: "a.b" } }]))).toEqual([
      "confirmed",
    ]);
    expect(await rig.count(entity.name)).toBe(1);
  });

  test.each<[string, string, (rig: Rig) => Promise<readonly Entity[]>, RegExp]>([
    ["with other properties", "topology-mismatch", async (rig) => {
      const entity = rig.entity();
      await rig.direct.declare([entity]);
      return [{ ...entity, arguments: { "x-expires": 120_000, "x-max-priority": 5 } }];
    }, /PRECONDITION_FAILED.*x-max-priority/],
    ["under a reserved name", "topology-refused", async () => {
      return [{ kind: "queue", name: "amq.mine", durable: true, exclusive: false, autoDelete: false }];
    }, /ACCESS_REFUSED/],
    ["a binding to no exchange", "exchange-missing", async (rig) => {
      const entity = rig.entity();
      return [entity, { kind: "binding", queue: entity.name, exchange: "no.such.exchange", routingKey: "" }];
    }, /no exchange 'no\.such\.exchange'/],
    ["a binding to no queue", "queue-missing", async () => {
      return [{ kind: "binding", queue: "no.such.queue", exchange: "amq.topic", routingKey: "" }];
    }, /no queue 'no\.such\.queue'/],
    ["a queue of another connection", "queue-locked", async (rig) => {
      const entity = rig.entity({ exclusive: true, durable: false, arguments: {} });
      await rig.direct.declare([entity]);
      return [entity];
    }, /RESOURCE_LOCKED/],
    ["a name over 255 bytes", "topology-invalid", async () => {
      return [{ kind: "queue", name: "é".repeat(200), durable: true, exclusive: false, autoDelete: false }];
    }, /too long/],
  ])("%s is %s with the broker's words, and hurts nobody else", async (_what, code, make, words) => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const queue = await rig.queue();
    const consumer = broker.consume([queue], { prefetch: 1 });
    await consuming(consumer);
    const seen = events(broker);
    const entities = await make(rig);
    const error = await broker.declare(entities).then(() => undefined, (caught: unknown) => caught);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(words) });
    const name = entities.at(-1);
    expect(String(error)).toContain(name?.kind === "binding" ? name.queue : name?.name);
    await rig.fill(queue, ["still here"]);
    for await (const delivery of consumer) {
      await delivery.settle({ as: "ack" });
      break;
    }
    await broker.declare([rig.entity()]);
    expect(seen.filter(({ is }) => is !== "up")).toEqual([]);
  });

  test("a queue with other properties: the error names the argument, what the server has and what we want", async () => {
    await using rig = await Rig.start();
    const entity = rig.entity({ arguments: { "x-expires": 120_000, "x-max-priority": 10 } });
    await rig.direct.declare([entity]);
    const other = { ...entity, arguments: { "x-expires": 120_000, "x-max-priority": 5 } };
    const expected = {
      name: "TopologyMismatchError",
      argument: "x-max-priority",
      have: "10",
      want: "5",
      entity: entity.name,
    };
    await expect(rig.broker().declare([other])).rejects.toMatchObject(expected);
    const each = rig.broker({ link: "call" });
    await expect(each.declare([other])).rejects.toMatchObject(expected);
    await expect(each.publish([task(entity.name)], { declare: [other] })).rejects.toMatchObject(expected);
  });

  test("what stands before the refused one is declared and not asked again", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const entity = rig.entity();
    const bad: Entity = { kind: "binding", queue: entity.name, exchange: "no.such.exchange", routingKey: "" };
    await expect(broker.declare([entity, bad])).rejects.toMatchObject({ code: "exchange-missing" });
    const frames = rig.record();
    await broker.declare([entity]);
    expect(frames).toEqual([]);
    expect(kinds(await broker.publish([task(entity.name)]))).toEqual(["confirmed"]);
  });

  test("an integer argument beyond 31 bits is sent as it is", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const entity = rig.entity({ arguments: { "x-expires": 120_000, "x-max-length-bytes": 3_000_000_000 } });
    await broker.declare([entity]);
    const other = { ...entity, arguments: { ...entity.arguments, "x-max-length-bytes": 3_000_000_000n } };
    await rig.direct.declare([other]);
    const wrong = { ...entity, arguments: { ...entity.arguments, "x-max-length-bytes": 3_000_000_001 } };
    await expect(broker.declare([wrong])).rejects.toMatchObject({ code: "topology-mismatch" });
  });

  test("a message to a queue that is gone makes the next declaration real", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    // Auto-delete: it goes with its only consumer.
    const entity = rig.entity({ autoDelete: true });
    await broker.declare([entity]);
    expect(kinds(await broker.publish([task(entity.name)]))).toEqual(["confirmed"]);
    const consumer = rig.direct.consume([entity.name], { prefetch: 1 });
    await consuming(consumer);
    await consumer.stop();
    expect(kinds(await broker.publish([task(entity.name)]))).toEqual(["unroutable"]);
    await broker.declare([entity]);
    expect(kinds(await broker.publish([task(entity.name)]))).toEqual(["confirmed"]);
  });
});

describe("the mode", () => {
  test("passive asks whether it is there, and makes nothing", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker({ topology: "passive" });
    const entity = rig.entity();
    await expect(broker.declare([entity])).rejects.toMatchObject({ code: "queue-missing" });
    const exchange = {
      kind: "exchange",
      name: "no.such.exchange",
      type: "direct",
      durable: true,
      autoDelete: false,
    } as const;
    await expect(broker.declare([exchange])).rejects.toMatchObject({ code: "exchange-missing" });
    await rig.direct.declare([entity]);
    // Other properties are none of its business, and a binding cannot be asked for.
    const binding: Entity = {
      kind: "binding",
      queue: entity.name,
      exchange: "no.such.exchange",
      routingKey: "",
    };
    await broker.declare([{ ...entity, arguments: { "x-max-priority": 3 } }, binding]);
  });

  test("leave sends nothing", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker({ topology: "leave" });
    await broker.declare([rig.entity()]);
    expect(rig.proxy.connections).toBe(0);
  });

  test("leave still makes private inboxes", async () => {
    await using rig = await Rig.start();
    const subscription = rig.broker({ topology: "leave" }).subscribe({
      queue: `inbox.${crypto.randomUUID()}`,
    });
    await subscription.ready;
    await subscription.close();
  });
});

describe("after a loss", () => {
  test("what was declared is declared again before it is consumed", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    // Exclusive: gone with its connection.
    const entity = rig.entity({ exclusive: true, durable: false, arguments: {} });
    await broker.declare([entity]);
    const consumer = broker.consume([entity.name], { prefetch: 1 });
    await consuming(consumer);
    let heard = 0;
    const hearing = (async () => {
      for await (const delivery of consumer) {
        heard++;
        await delivery.settle({ as: "ack" });
      }
    })();
    for (let round = 0; round < 5; round++) {
      rig.proxy.cut();
      const before = heard;
      // What still reaches the queue of the lost connection goes with it.
      await until(async () => {
        await rig.direct.publish([task(entity.name)]);
        return heard > before;
      }, { what: "a message by the queue's successor", every: 20 });
    }
    await consumer.stop();
    await hearing;
  });

  test("the publishing link declares again before it publishes", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const entity = rig.entity({ autoDelete: true });
    await broker.declare([entity]);
    const consumer = rig.direct.consume([entity.name], { prefetch: 1 });
    await consuming(consumer);
    await consumer.stop();
    rig.proxy.cut();
    await until(async () => kinds(await broker.publish([task(entity.name)]))[0] === "confirmed", {
      what: "a confirm",
    });
  });

  test("a declaration that is refused now is reported, and the others are made", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const [spoiled, good] = [
      rig.entity({ autoDelete: true }),
      rig.entity({ exclusive: true, durable: false, arguments: {} }),
    ];
    await broker.declare([spoiled]);
    await broker.declare([good]);
    const consumer = broker.consume([good.name], { prefetch: 1 });
    await consuming(consumer);
    const other = rig.direct.consume([spoiled.name], { prefetch: 1 });
    await consuming(other);
    await other.stop();
    await rig.direct.declare([{ ...spoiled, autoDelete: false }]);
    const seen = events(broker);
    rig.proxy.cut();
    await until(
      () =>
        seen.find((event) =>
          event.is === "down" && (event.error as { code?: string }).code === "topology-mismatch"
        ),
      {
        what: "news of the mismatch",
      },
    );
    await until(async () => kinds(await rig.direct.publish([task(good.name)]))[0] === "confirmed", {
      what: "the good one",
    });
  });
});

describe("count and purge", () => {
  test("of a queue that is missing are 0, and the next question is answered", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    expect(await broker.count("no.such.queue")).toBe(0);
    expect(await broker.purge("no.such.queue")).toBe(0);
    const queue = await rig.queue();
    await rig.fill(queue, ["1", "2"]);
    expect(await broker.count(queue)).toBe(2);
    expect(await broker.purge(queue)).toBe(2);
    expect(await broker.count(queue)).toBe(0);
  });

  test("of another connection's exclusive queue say so", async () => {
    await using rig = await Rig.start();
    const entity = rig.entity({ exclusive: true, durable: false, arguments: {} });
    await rig.direct.declare([entity]);
    await expect(rig.broker().count(entity.name)).rejects.toMatchObject({ code: "queue-locked" });
  });
});
