/**
 * Publishing on a real RabbitMQ: verdicts, pipelining, limits, and what a cut leaves behind.
 *
 * @module
 */
import { AMQPClient } from "@cloudamqp/amqp-client";
import { describe, expect, inject, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import type { Outgoing } from "../../src/broker.ts";
import { pause, until } from "../support/wait.ts";
import { events, kinds, QUICK, Rig, task, times } from "./rig.ts";

describe("verdicts", () => {
  test("a batch of routable and unroutable messages, equal ones among them, gets each its own", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const queue = await rig.queue();
    const nowhere = `nowhere.${queue}`;
    const batch = times(200, (at) => {
      const to = at % 3 === 0 ? nowhere : queue;
      // Half of them are equal to the byte.
      return task(to, at % 2 === 0 ? "same" : `own ${at}`);
    });
    const verdicts = kinds(await broker.publish(batch));
    expect(verdicts).toEqual(times(200, (at) => (at % 3 === 0 ? "unroutable" : "confirmed")));
    expect(await rig.count(queue)).toBe(verdicts.filter((kind) => kind === "confirmed").length);
  });

  test("of equal messages as many are confirmed as are in a queue that is made meanwhile", async () => {
    await using rig = await Rig.start();
    for (let round = 0; round < 10; round++) {
      const broker = rig.broker();
      const entity = rig.entity();
      await broker.connect();
      const early = times(100, () => broker.publish([task(entity.name, "same")]));
      const declaring = rig.direct.declare([entity]);
      const late: Promise<unknown>[] = [];
      for (let at = 0; at < 20; at++) {
        late.push(...times(10, () => broker.publish([task(entity.name, "same")])));
        await pause(0);
      }
      await declaring;
      const all = (await Promise.all([...early, ...late])).flat() as { is: string }[];
      const confirmed = all.filter(({ is }) => is === "confirmed").length;
      expect(confirmed + all.filter(({ is }) => is === "unroutable").length).toBe(300);
      await rig.counts(entity.name, confirmed);
    }
  });

  test("without mustRoute a message to nowhere is confirmed, as AMQP has it", async () => {
    await using rig = await Rig.start();
    const nowhere: Outgoing = { ...task("nowhere.at.all"), mustRoute: false };
    expect(kinds(await rig.broker().publish([nowhere]))).toEqual(["confirmed"]);
  });

  test("a missing exchange refuses its own messages, for good, and no others", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const queue = await rig.queue();
    const exchange = `missing.${queue}`;
    const lost: Outgoing = { ...task(queue), to: { exchange, routingKey: "k" } };
    const verdicts = await broker.publish([task(queue), lost, task(queue), lost, task(queue)]);
    expect(kinds(verdicts)).toEqual(["confirmed", "refused", "confirmed", "refused", "confirmed"]);
    expect(verdicts[1]).toMatchObject({
      retry: false,
      reason: expect.stringContaining(`no exchange '${exchange}'`),
    });
    await broker.declare([
      { kind: "exchange", name: exchange, type: "direct", durable: false, autoDelete: true },
      { kind: "binding", queue, exchange, routingKey: "k" },
    ]);
    expect(kinds(await broker.publish([lost]))).toEqual(["confirmed"]);
    expect(await rig.count(queue)).toBe(4);
  });

  test.each(["shared", "call"] as const)(
    "NaN in a header, for which RabbitMQ closes the connection, refuses its own message alone (%s)",
    async (link) => {
      await using rig = await Rig.start();
      const broker = rig.broker({ link });
      const queue = await rig.queue();
      const seen = events(broker);
      const odd = [NaN, Infinity, { deep: [-Infinity] }].map((ratio) => {
        const { message, ...rest } = task(queue);
        return { ...rest, message: { ...message, headers: { ratio } } };
      });
      const verdicts = await broker.publish([task(queue), ...odd, task(queue)]);
      expect(kinds(verdicts)).toEqual(["confirmed", "refused", "refused", "refused", "confirmed"]);
      expect(verdicts[1]).toMatchObject({ retry: false, reason: expect.stringContaining("NaN") });
      expect(seen.filter(({ is }) => is !== "up")).toEqual([]);
    },
  );

  test("a full queue that rejects refuses with a retry", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const entity = rig.entity({
      arguments: { "x-expires": 120_000, "x-max-length": 1, "x-overflow": "reject-publish" },
    });
    await broker.declare([entity]);
    const verdicts = await broker.publish(times(3, () => task(entity.name)));
    expect(kinds(verdicts)).toContain("refused");
    expect(verdicts.find(({ is }) => is === "refused")).toMatchObject({ retry: true });
    // Now and then the server refuses several in one word: none of them is left without a verdict.
    for (let batch = 0; batch < 100; batch++) {
      const refused = await broker.publish(times(6, () => task(entity.name)), {
        deadline: Date.now() + 5000,
      });
      expect(kinds(refused)).toEqual(times(6, () => "refused"));
    }
  });

  test.each<[string, (queue: string) => Outgoing, RegExp]>([
    ["a body over the limit", (queue) => task(queue, "x".repeat(1001)), /1001 bytes.*1000/],
    ["an expiration that is no number", (queue) => task(queue, "x", { expiration: "soon" }), /expiration/],
    [
      "an expiration beyond RabbitMQ's ten years",
      (queue) => task(queue, "x", { expiration: "315360000001" }),
      /expiration.*ten years/,
    ],
    [
      "a delay, which RabbitMQ has not",
      (queue) => ({ ...task(queue), notBefore: Date.now() + 1000 }),
      /notBefore/,
    ],
    ["a key over 255 bytes", () => task("é".repeat(200)), /255 bytes/],
    ["headers over a frame", (queue) => withHeader(task(queue), "x".repeat(200_000)), /headers take/],
    ["a header that AMQP has no type for", (queue) => withHeader(task(queue), () => 1), /function/],
  ])("%s is refused for good and hurts no other message", async (_what, make, reason) => {
    await using rig = await Rig.start();
    const broker = rig.broker({ maxMessage: 1000 });
    const queue = await rig.queue();
    const verdicts = await broker.publish([task(queue), make(queue), task(queue)]);
    expect(kinds(verdicts)).toEqual(["confirmed", "refused", "confirmed"]);
    expect(verdicts[1]).toMatchObject({ retry: false, reason: expect.stringMatching(reason) });
    expect(await rig.count(queue)).toBe(2);
  });

  test("an expiration of up to ten years is taken", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const far = ["31536000000", "315360000000"].map((expiration) => task(queue, "x", { expiration }));
    expect(kinds(await rig.broker().publish(far))).toEqual(["confirmed", "confirmed"]);
    expect(await rig.count(queue)).toBe(2);
  });

  test("nothing that was published is refused with a retry while no connection can be had", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    await rig.proxy.refuse(true);
    const [verdict] = await broker.publish([task("q")]);
    expect(verdict).toMatchObject({
      is: "refused",
      retry: true,
      reason: expect.stringContaining("(unreachable)"),
    });
    await rig.proxy.refuse(false);
    expect(kinds(await broker.publish([task("nowhere.at.all")]))).toEqual(["unroutable"]);
  });

  test("an aborted or expired call is refused before anything is sent", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    expect(await broker.publish([task("q")], { signal: AbortSignal.abort() })).toMatchObject([{
      is: "refused",
      retry: true,
    }]);
    expect(await broker.publish([task("q")], { deadline: Date.now() - 1 })).toMatchObject([{
      is: "refused",
      retry: true,
    }]);
    expect(rig.proxy.connections).toBe(0);
  });

  test("an empty batch has no verdicts and opens nothing", async () => {
    await using rig = await Rig.start();
    expect(await rig.broker().publish([])).toEqual([]);
    expect(rig.proxy.connections).toBe(0);
  });

  test("a large body comes whole", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const body = Uint8Array.from({ length: 3_000_000 }, (_, at) => at % 251);
    const big: Outgoing = { ...task(queue), message: { ...task(queue).message, body } };
    expect(kinds(await rig.broker().publish([big, task(queue)]))).toEqual(["confirmed", "confirmed"]);
    for await (const delivery of rig.direct.consume([queue], { prefetch: 1 })) {
      expect(delivery.message.body.length).toBe(body.length);
      expect(delivery.message.body.every((byte, at) => byte === at % 251)).toBe(true);
      await delivery.settle({ as: "ack" });
      break;
    }
  });

  test("more exchanges than channels are kept open all work", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const queue = await rig.queue();
    const names = times(80, (at) => `celeriac.test.${queue}.${at}`);
    await broker.declare(names.flatMap((name) => [
      { kind: "exchange", name, type: "fanout", durable: false, autoDelete: true } as const,
      { kind: "binding", queue, exchange: name, routingKey: "" } as const,
    ]));
    for (const exchange of names) {
      expect(kinds(await broker.publish([{ ...task(queue), to: { exchange, routingKey: "" } }]))).toEqual([
        "confirmed",
      ]);
    }
    expect(await rig.count(queue)).toBe(80);
  });
});

function withHeader(outgoing: Outgoing, value: unknown): Outgoing {
  return { ...outgoing, message: { ...outgoing.message, headers: { a: value } } };
}

describe("pipelining", () => {
  test("1,000 concurrent publishes, connecting and declaring included, take fewer than 20 round trips", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const entity = rig.entity();
    // The proxy counts how often the client begins to speak after the server spoke: that is what latency would be paid for.
    const verdicts = await Promise.all(times(1000, async () => {
      await broker.declare([entity]);
      return (await broker.publish([task(entity.name)]))[0]?.is;
    }));
    expect(new Set(verdicts)).toEqual(new Set(["confirmed"]));
    console.log(`1,000 publishes: ${rig.proxy.roundTrips} round trips`);
    expect(rig.proxy.roundTrips).toBeLessThan(20);
    expect(await rig.count(entity.name)).toBe(1000);
  });

  test("no more than maxInFlight wait for their confirm, the others are sent as room comes", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker({ maxInFlight: 10 });
    const queue = await rig.queue();
    await broker.publish([task(queue)]);
    const frames = rig.record();
    rig.proxy.blackhole("down");
    const batch = broker.publish(times(100, () => task(queue)));
    const sent = (): number => frames.filter(({ method }) => method === "60.40").length;
    await rig.counts(queue, 11);
    expect(sent()).toBe(10);
    rig.proxy.heal();
    expect(new Set(kinds(await batch))).toEqual(new Set(["confirmed"]));
    expect(await rig.count(queue)).toBe(101);
  });

  test("at the deadline those that were sent are unknown, those that still waited are refused with a retry", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker({ maxInFlight: 10 });
    const queue = await rig.queue();
    await broker.publish([task(queue)]);
    rig.proxy.blackhole("down");
    const verdicts = await broker.publish(times(30, () => task(queue)), { deadline: Date.now() + 200 });
    expect(kinds(verdicts)).toEqual([...times(10, () => "unknown"), ...times(20, () => "refused")]);
    expect(verdicts[29]).toMatchObject({ retry: true });
    rig.proxy.heal();
    // The late confirms free the room; what was given up is not sent after all.
    expect(kinds(await broker.publish([task(queue)]))).toEqual(["confirmed"]);
    expect(await rig.count(queue)).toBe(12);
  });
});

describe("A09: a cut", () => {
  test("before any confirm confirms none of 1,000 publishes, and settles each once", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const queue = await rig.queue();
    await broker.publish([task(queue)]);
    rig.proxy.blackhole("down");
    let settled = 0;
    const publishes = times(1000, () =>
      broker.publish([task(queue)]).then(([verdict]) => {
        settled++;
        return verdict?.is;
      }));
    await rig.counts(queue, 1001);
    rig.proxy.cut();
    const verdicts = await Promise.all(publishes);
    expect(new Set(verdicts)).toEqual(new Set(["unknown"]));
    expect(settled).toBe(1000);
  });

  test.each(["cut", "rst"] as const)(
    "(%s) after any chunk leaves no publish unsettled and no lost one confirmed",
    async (how) => {
      await using rig = await Rig.start();
      const seen = new Map<string, number>();
      for (let cutAt = 1; cutAt <= 24; cutAt++) {
        const queue = await rig.queue();
        const broker = rig.broker();
        let chunks = 0;
        rig.proxy.onChunk = () => {
          if (++chunks === cutAt) rig.proxy[how]();
        };
        const single = times(20, (at) => broker.publish([task(queue, `a${at}`)]));
        const more = (async () => {
          await pause(3);
          return await broker.publish(times(20, (at) => task(queue, `b${at}`)));
        })();
        const verdicts = [...(await Promise.all(single)).flat(), ...await more];
        rig.proxy.onChunk = undefined;
        expect(verdicts).toHaveLength(40);
        const count = (kind: string): number => verdicts.filter(({ is }) => is === kind).length;
        for (const { is } of verdicts) seen.set(is, (seen.get(is) ?? 0) + 1);
        expect(count("unroutable")).toBe(0);
        await until(async () => await rig.count(queue) >= count("confirmed"), {
          what: "all that was confirmed",
        });
        const stored = await rig.count(queue);
        expect(stored).toBeLessThanOrEqual(count("confirmed") + count("unknown"));
        await broker.close();
      }
      console.log(`verdicts: ${[...seen].map(([is, count]) => `${is} ${count}`).join(", ")}`);
      expect([...seen.keys()].sort()).toEqual(["confirmed", "refused", "unknown"]);
    },
  );

  test("lets what was never sent go out on the next connection", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker({ maxInFlight: 5 });
    const queue = await rig.queue();
    await broker.publish([task(queue)]);
    rig.proxy.blackhole("down");
    const batch = broker.publish(times(20, () => task(queue)));
    await rig.counts(queue, 6);
    rig.proxy.cut();
    rig.proxy.heal();
    expect(kinds(await batch)).toEqual([...times(5, () => "unknown"), ...times(15, () => "confirmed")]);
    expect(await rig.count(queue)).toBe(21);
  });
});

describe("close", () => {
  test("waits for the confirms that are due", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const queue = await rig.queue();
    const batch = broker.publish(times(50, () => task(queue)));
    await broker.close();
    expect(new Set(kinds(await batch))).toEqual(new Set(["confirmed"]));
  });

  test("gives up by its deadline: unknown", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const queue = await rig.queue();
    await broker.publish([task(queue)]);
    rig.proxy.blackhole("both");
    const batch = broker.publish([task(queue)]);
    await pause(5);
    await broker.close({ deadline: Date.now() + 100 });
    expect(kinds(await batch)).toEqual(["unknown"]);
  });

  test("forgets what was never confirmed: the room is free afterwards, and nothing connects again by itself", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker({ maxInFlight: 5 });
    const queue = await rig.queue();
    const exchange = `celeriac.test.${queue}`;
    await broker.declare([{
      kind: "exchange",
      name: exchange,
      type: "fanout",
      durable: false,
      autoDelete: false,
    }]);
    const other: Outgoing = { ...task(queue), to: { exchange, routingKey: "" }, mustRoute: false };
    expect(kinds(await broker.publish([other]))).toEqual(["confirmed"]);
    rig.proxy.blackhole("both");
    const batch = broker.publish(times(10, () => other));
    await pause(5);
    await broker.close({ deadline: Date.now() + 50 });
    expect(new Set(kinds(await batch))).toEqual(new Set(["unknown", "refused"]));
    rig.proxy.heal();
    await until(() => rig.proxy.live === 0, { what: "no open connection" });
    const before = rig.proxy.connections;
    await pause(100);
    expect(rig.proxy.connections).toBe(before);
    expect(kinds(await broker.publish([task(queue)]))).toEqual(["confirmed"]);
    await deleteExchange(rig.url, exchange);
  });

  test("leaves no connection, and the broker can be used again", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker();
    const queue = await rig.queue();
    for (let round = 1; round <= 3; round++) {
      expect(kinds(await broker.publish([task(queue)]))).toEqual(["confirmed"]);
      await broker.close();
      await broker.close();
      await until(() => rig.proxy.live === 0, { what: "no open connection" });
    }
    expect(rig.proxy.connections).toBe(3);
  });
});

async function deleteExchange(url: string, exchange: string): Promise<void> {
  const client = new AMQPClient(url);
  await client.connect();
  await (await client.channel()).exchangeDelete(exchange);
  await client.close();
}

test("what is published during the goodbye goes out on a connection of its own", async () => {
  await using rig = await Rig.start();
  const queue = await rig.queue();
  // The goodbye gets no answer; who connects anew finds the first URL refused and takes the second.
  const broker = amqpBroker([rig.url, inject("amqp")], QUICK);
  await broker.publish([task(queue, "before")]);
  const frames = rig.record();
  await rig.proxy.refuse(true);
  rig.proxy.blackhole("down");
  const closing = broker.close({ deadline: Date.now() + 1000 });
  await until(() => frames.some(({ method }) => method === "10.50"), { what: "the goodbye" });
  const during = [task(queue, "during"), {
    ...task(queue),
    to: { exchange: "amq.direct", routingKey: queue },
  }];
  expect(kinds(await broker.publish(during))).toEqual(["confirmed", "unroutable"]);
  await closing;
  expect(kinds(await broker.publish([task(queue, "after")]))).toEqual(["confirmed"]);
  await rig.counts(queue, 3);
  await broker.close();
});
