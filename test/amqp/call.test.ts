/**
 * `link: "call"`: a connection for each call, which ends with it whatever happened, and verdicts as over a shared one.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { amqpBroker, amqpPublisher, type AmqpTcpPublisherOptions } from "../../adapters/amqp/tcp.ts";
import { amqpPublisher as publisherOverWebSocket } from "../../adapters/amqp/websocket.ts";
import type { Entity, PublishBroker } from "../../src/broker.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { startRelay } from "../support/relay.ts";
import { often } from "../support/thorough.ts";
import { until } from "../support/wait.ts";
import { consuming, everything, kinds, Rig, take, task, times, urlWith } from "./rig.ts";
import { counted, OWN } from "./websocket-rig.ts";

/** How many times each fault: a hundred on Node; elsewhere each of the 14 chunks at least once. */
const ROUNDS = often(100, 10);
/** So many at a time. */
const ABREAST = 10;

const CLOSE = "10.50";
const PUBLISH = "60.40";

type Make = (url: string, options?: AmqpTcpPublisherOptions) => PublishBroker;

const MAKERS: readonly (readonly [string, Make])[] = [
  ["amqpBroker", (url, options) => amqpBroker(url, { link: "call", ...options })],
  ["amqpPublisher", (url, options) => amqpPublisher(url, options)],
];

async function gone(rig: Rig): Promise<void> {
  await until(() => rig.proxy.live === 0, { what: "the end of every connection" });
}

async function rounds(run: () => Promise<void>): Promise<void> {
  for (let round = 0; round < ROUNDS; round += ABREAST) await Promise.all(times(ABREAST, run));
}

describe.each(MAKERS)("%s", (_name, make) => {
  test("says that a link lives for one call", () => {
    expect(make("amqp://h").features.link).toBe("call");
  });

  test("each publish opens a connection, declares, publishes, and has said goodbye when it settles", async () => {
    await using rig = await Rig.start();
    const entity = rig.entity();
    const broker = make(rig.url);
    for (const round of [1, 2]) {
      const frames = rig.record();
      expect(kinds(await broker.publish([task(entity.name)], { declare: [entity] }))).toEqual(["confirmed"]);
      expect(rig.proxy.connections).toBe(round);
      await gone(rig);
      const sent = frames.filter(({ direction }) => direction === "up").map(({ method }) => method);
      expect(sent.filter((method) => method === CLOSE)).toHaveLength(1);
      expect(sent.indexOf("50.10")).toBeLessThan(sent.indexOf(PUBLISH));
    }
    expect(await rig.count(entity.name)).toBe(2);
    await broker.close();
  });

  test("two publishes at once use a connection each, and neither waits for the other", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const broker = make(rig.url);
    let most = 0;
    rig.proxy.onChunk = () => most = Math.max(most, rig.proxy.live);
    const verdicts = await Promise.all([broker.publish([task(queue)]), broker.publish([task(queue)])]);
    expect(verdicts.flat()).toEqual([{ is: "confirmed" }, { is: "confirmed" }]);
    expect([rig.proxy.connections, most]).toEqual([2, 2]);
    await gone(rig);
  });

  test("a batch gets the verdicts that it would get over a shared connection", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const broker = make(rig.url, { maxInFlight: 3, maxMessage: 1000 });
    const missing = { exchange: `missing.${queue}`, routingKey: "k" };
    const verdicts = await broker.publish([
      task(queue, "1"),
      task(`nowhere.${queue}`, "2"),
      { ...task(queue, "3"), to: missing },
      task(queue, "x".repeat(1001)),
      task("é".repeat(200)),
      { ...task(`nowhere.${queue}`, "4"), mustRoute: false },
      ...times(20, () => task(queue, "same")),
      task(`nowhere.${queue}`, "2"),
    ]);
    expect(kinds(verdicts)).toEqual([
      "confirmed",
      "unroutable",
      "refused",
      "refused",
      "refused",
      "confirmed",
      ...times(20, () => "confirmed"),
      "unroutable",
    ]);
    expect(verdicts[2]).toMatchObject({ retry: false, reason: expect.stringContaining("no exchange") });
    expect(rig.proxy.connections).toBe(1);
    expect(await rig.count(queue)).toBe(21);
    await gone(rig);
  });

  test("a return is told from its twin by every header", async () => {
    await using rig = await Rig.start();
    const queue = `later.${crypto.randomUUID()}`;
    const base = task(queue, "same");
    const headers = { f: 0.1, big: 2 ** 40, low: -(2 ** 33), deep: { a: [1, null, "é", new Uint8Array(3)] } };
    const rich = { ...base, message: { ...base.message, headers } };
    const verdicts = await make(rig.url).publish([rich, { ...base, mustRoute: false }, rich, base]);
    expect(kinds(verdicts)).toEqual(["unroutable", "confirmed", "unroutable", "unroutable"]);
  });

  test("what the broker refuses to declare rejects with its code, and nothing is sent", async () => {
    await using rig = await Rig.start();
    const entity = rig.entity();
    await rig.direct.declare([entity]);
    const wrong: Entity = { ...entity, arguments: { "x-expires": 60_000 } };
    const frames = rig.record();
    const publish = make(rig.url).publish([task(entity.name)], { declare: [wrong] });
    await expect(publish).rejects.toMatchObject({ code: "topology-mismatch" });
    await gone(rig);
    expect(frames.some(({ method }) => method === PUBLISH)).toBe(false);
    expect(await rig.count(entity.name)).toBe(0);
  });

  test("an empty batch, an aborted and a late one open nothing", async () => {
    await using rig = await Rig.start();
    const broker = make(rig.url);
    expect(await broker.publish([])).toEqual([]);
    const aborted = await broker.publish([task("q")], { signal: AbortSignal.abort() });
    const late = await broker.publish([task("q")], { deadline: Date.now() - 1 });
    expect([...aborted, ...late]).toMatchObject(times(2, () => ({ is: "refused", retry: true })));
    expect(rig.proxy.connections).toBe(0);
  });

  test("a broker that cannot be reached: refused as not sent, or where something is declared its coded error", async () => {
    await using rig = await Rig.start();
    const { platform, armed } = counted();
    const password = "canary-4410";
    const broker = make(urlWith({ host: new URL(rig.url).host, password }, rig.url), { platform });
    const [verdict] = await broker.publish([task("q")]);
    expect(verdict).toMatchObject({
      is: "refused",
      retry: true,
      reason: expect.stringMatching(/credentials refused/),
    });
    const error = await broker.publish([task("q")], { declare: [rig.entity()] }).catch((caught: unknown) =>
      caught
    );
    expect(error).toMatchObject({ code: "broker-credentials-refused" });
    expect(everything(error) + JSON.stringify(verdict)).not.toContain("canary");
    expect(armed).toBe(0);
    await gone(rig);
  });

  test("a failover list is tried in turn within one call", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const dead = urlWith({ host: "127.0.0.1:1" });
    expect(kinds(await make(`${dead};${rig.url}`).publish([task(queue)]))).toEqual(["confirmed"]);
  });
});

describe("faults, each a hundred times", () => {
  test.each(MAKERS)(
    "%s: silence after any chunk is refused or unknown by the deadline, and frees all",
    async (_, make) => {
      await using rig = await Rig.start();
      const queue = await rig.queue();
      const clock = counted();
      const seen = new Map<string, number>();
      for (let round = 0; round < ROUNDS; round++) {
        let left = 1 + round % 14;
        rig.proxy.onChunk = () => {
          if (--left === 0) rig.proxy.blackhole("both");
        };
        const started = performance.now();
        const [verdict] = await make(rig.url, { platform: clock.platform }).publish([task(queue)], {
          deadline: Date.now() + 60,
        });
        expect(performance.now() - started).toBeLessThan(2000);
        expect(clock.armed).toBe(0);
        seen.set(verdict?.is ?? "", (seen.get(verdict?.is ?? "") ?? 0) + 1);
        rig.proxy.onChunk = undefined;
        rig.proxy.heal();
        await gone(rig);
      }
      console.log(`silence: ${[...seen].map(([is, count]) => `${is} ${count}`).join(", ")}`);
      expect([...seen.keys()].sort()).toEqual(["confirmed", "refused", "unknown"]);
      await until(async () => await rig.count(queue) >= (seen.get("confirmed") ?? 0), {
        what: "all confirmed",
      });
      expect(await rig.count(queue)).toBeLessThanOrEqual(
        (seen.get("confirmed") ?? 0) + (seen.get("unknown") ?? 0),
      );
    },
  );

  test.each(MAKERS)(
    "%s: a cut after any chunk settles at once, and no lost one is confirmed",
    async (_, make) => {
      await using rig = await Rig.start();
      const queue = await rig.queue();
      const clock = counted();
      const seen = new Map<string, number>();
      for (let round = 0; round < ROUNDS; round++) {
        let left = 1 + round % 14;
        rig.proxy.onChunk = () => {
          if (--left === 0) rig.proxy[round % 2 === 0 ? "cut" : "rst"]();
        };
        const started = performance.now();
        const [verdict] = await make(rig.url, { platform: clock.platform }).publish([task(queue)]);
        expect(performance.now() - started).toBeLessThan(2000);
        expect(clock.armed).toBe(0);
        rig.proxy.onChunk = undefined;
        seen.set(verdict?.is ?? "", (seen.get(verdict?.is ?? "") ?? 0) + 1);
        await gone(rig);
      }
      console.log(`cuts: ${[...seen].map(([is, count]) => `${is} ${count}`).join(", ")}`);
      expect([...seen.keys()].sort()).toEqual(["confirmed", "refused", "unknown"]);
      await until(async () => await rig.count(queue) >= (seen.get("confirmed") ?? 0), {
        what: "all confirmed",
      });
      expect(await rig.count(queue)).toBeLessThanOrEqual(
        (seen.get("confirmed") ?? 0) + (seen.get("unknown") ?? 0),
      );
    },
  );

  test.each(MAKERS)("%s: an abort at any time ends the call and its connection", async (_, make) => {
    await using rig = await Rig.start();
    const entity = rig.entity();
    const clock = counted();
    const seen = new Set<string>();
    const broker = make(rig.url, { platform: clock.platform });
    let steps = 0;
    await rounds(async () => {
      const stop = new AbortController();
      const reason = new Error("enough");
      const at = 1 + steps++ % 16;
      let chunks = 0;
      const before = rig.proxy.onChunk;
      rig.proxy.onChunk = (direction, bytes) => {
        before?.(direction, bytes);
        if (++chunks === at) stop.abort(reason);
      };
      const outcome = await broker.publish([task(entity.name)], { declare: [entity], signal: stop.signal })
        .then(
          ([verdict]) => verdict?.is ?? "",
          (error: unknown) => error === reason ? "the reason" : String(error),
        );
      seen.add(outcome);
    });
    rig.proxy.onChunk = undefined;
    expect([...seen].filter((each) => !["confirmed", "refused", "unknown", "the reason"].includes(each)))
      .toEqual([]);
    expect(seen.has("the reason")).toBe(true);
    expect(clock.armed).toBe(0);
    await gone(rig);
  });
});

describe("the whole broker", () => {
  test("declares, counts, purges and connects over a connection each", async () => {
    await using rig = await Rig.start();
    const clock = counted();
    const broker = amqpBroker(rig.url, { link: "call", platform: clock.platform });
    const entity = rig.entity();
    await broker.connect();
    await broker.declare([entity]);
    await rig.fill(entity.name, ["1", "2"]);
    expect(await broker.count(entity.name)).toBe(2);
    expect(await broker.purge(entity.name)).toBe(2);
    expect(await broker.count(`no.${entity.name}`)).toBe(0);
    expect(rig.proxy.connections).toBe(5);
    await gone(rig);
    expect(clock.armed).toBe(0);
  });

  test("a consumer and a subscription have a connection each, for as long as they live", async () => {
    await using rig = await Rig.start();
    const clock = counted();
    const broker = amqpBroker(rig.url, { link: "call", platform: clock.platform });
    const queue = await rig.queue();
    const consumer = broker.consume([queue], { prefetch: 1 });
    await consuming(consumer);
    const subscription = broker.subscribe({ queue: `inbox.${queue}` });
    await subscription.ready;
    expect(rig.proxy.live).toBe(2);
    await subscription.close();
    await until(() => rig.proxy.live === 1, { what: "the end of the subscription's connection" });
    await rig.fill(queue, ["1"]);
    const [delivery] = await take(consumer, 1);
    await delivery?.settle({ as: "ack" });
    await consumer.stop();
    await gone(rig);
    await broker.close();
    expect(clock.armed).toBe(0);
    expect(await rig.count(queue)).toBe(0);
  });

  test("close ends consumers that were not stopped", async () => {
    await using rig = await Rig.start();
    const broker = amqpBroker(rig.url, { link: "call" });
    const queue = await rig.queue();
    await consuming(broker.consume([queue], { prefetch: 1 }));
    await broker.close();
    await gone(rig);
  });

  test("what was declared is there again for a consumer whose connection was cut", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker({ link: "call" });
    const entity = rig.entity({ durable: false, autoDelete: true, arguments: {} });
    await broker.declare([entity]);
    const consumer = broker.consume([entity.name], { prefetch: 1 });
    await consuming(consumer);
    rig.proxy.cut();
    await until(async () => kinds(await rig.direct.publish([task(entity.name)]))[0] === "confirmed", {
      what: "the queue",
    });
    const [delivery] = await take(consumer, 1);
    await delivery?.settle({ as: "ack" });
    await consumer.stop();
  });
});

test.each(["link", "heartbeat", "reconnect", "closeTimeout"])("a publisher has no option %s", (name) => {
  for (const make of [amqpPublisher, publisherOverWebSocket] as const) {
    const url = make === amqpPublisher ? "amqp://h" : "ws://h";
    expect(() => make(url, { [name]: "call" })).toThrow(
      expect.objectContaining({ code: "option-unknown", message: expect.stringContaining("amqpPublisher") }),
    );
  }
});

test("a publisher has a connection for each call", () => {
  expect(amqpPublisher("amqp://h").features.link).toBe("call");
  expect(amqpBroker("amqp://h").features.link).toBe("shared");
});

test("in workerd a broker has a connection for each call unless it is told otherwise", () => {
  const platform = { ...systemPlatform, host: { ...systemPlatform.host, runtime: "workerd" as const } };
  expect(amqpBroker("amqp://h", { platform }).features.link).toBe("call");
  expect(amqpBroker("amqp://h", { platform, link: "shared" }).features.link).toBe("shared");
});

test("one publish takes five round trips and a goodbye that nobody waits for", async () => {
  await using rig = await Rig.start();
  const entity = rig.entity();
  const broker = amqpPublisher(rig.url);
  await broker.publish([task(entity.name)], { declare: [entity] });
  await gone(rig);
  const before = rig.proxy.roundTrips;
  await broker.publish([task(entity.name)], { declare: [entity] });
  await gone(rig);
  // Greeting, start-ok, tune-ok with open, channels with declarations, the message; the goodbye.
  expect(rig.proxy.roundTrips - before).toBe(6);
});

test("over WebSocket, too, a publish says goodbye, and leaves nothing", async () => {
  await using rig = await Rig.start();
  const entity = rig.entity();
  await using relay = await startRelay({ host: "127.0.0.1", port: rig.proxy.port });
  const clock = counted();
  const { username, password, pathname } = new URL(rig.url);
  const far = publisherOverWebSocket(relay.url, {
    ...OWN,
    username: decodeURIComponent(username) || "guest",
    password: decodeURIComponent(password) || "guest",
    vhost: decodeURIComponent(pathname.slice(1)) || "/",
    platform: clock.platform,
  });
  const nowhere = `nowhere.${entity.name}`;
  const [frames, rounds] = [rig.record(), 20];
  const took: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    const verdicts = await far.publish([task(entity.name), task(nowhere)], { declare: [entity] });
    took.push(performance.now() - started);
    expect(kinds(verdicts)).toEqual(["confirmed", "unroutable"]);
    expect(clock.armed).toBe(0);
  }
  console.log(`a publish with a WebSocket of its own: ${took.toSorted((a, b) => a - b)[10]?.toFixed(1)} ms`);
  await until(() => relay.proxy.live + rig.proxy.live === 0, { what: "the end of every connection" });
  expect(frames.filter(({ direction, method }) => direction === "up" && method === CLOSE)).toHaveLength(
    rounds,
  );
  expect(await rig.count(entity.name)).toBe(rounds);
});
