/** Consuming over HTTP: answers that are lost, refusals, and what a look costs. */
import { expect, test } from "vitest";
import { upstashBroker } from "../../adapters/redis/http.ts";
import { redisBroker } from "../../adapters/redis/tcp.ts";
import { Celery } from "../../mod.ts";
import type { Broker, BrokerEvent, Delivery } from "../../src/broker.ts";
import { letter, textOf, textsOf } from "../../src/testing/contract/letter.ts";
import { Reader } from "../../src/testing/contract/reader.ts";
import { Worker } from "../../src/worker/worker.ts";
import { until } from "../support/wait.ts";
import { ownRedis } from "./own-redis.ts";

const rig = ownRedis({ gateway: true });

test("a worker that could not listen to broadcasts over HTTP says so", async () => {
  const app = new Celery("all", {
    broker: over("50ms"),
    taskQueues: { reload: { broadcast: true } },
    logger: { log: () => {} },
  });
  await expect(new Worker(app).run()).rejects.toMatchObject({ code: "broadcast-unsupported" });
});

function over(pollInterval: `${number}ms`, token = rig.gateway.token): Broker {
  const broker = upstashBroker({ url: rig.gateway.url, token, pollInterval });
  rig.kept(broker);
  return broker;
}

const consume = (from: Broker, prefetch = 10): Reader<Delivery> =>
  new Reader(from.consume(["q"], { prefetch }), 10_000);

async function publish(to: Broker, ...texts: readonly string[]): Promise<void> {
  const verdicts = await to.publish(
    texts.map((text) => ({ message: letter(text), to: { exchange: "", routingKey: "q" }, mustRoute: true })),
  );
  expect(verdicts.map(({ is }) => is)).toEqual(texts.map(() => "confirmed"));
}

/** Deno sends a request once more when its socket closes without an answer. */
const TWICE = 2;

test("a claim whose answer is lost brings its messages all the same, and once", async () => {
  const broker = over("50ms");
  await publish(broker, "1", "2", "3");
  rig.gateway.faults.dropResponse(TWICE);
  const inbox = consume(broker);
  const got = await inbox.take(3);
  expect(textsOf(got)).toEqual(["1", "2", "3"]);
  await inbox.quiet("after each came once");
  for (const delivery of got) expect(await delivery.settle({ as: "ack" })).toBe("settled");
  expect(await rig.redis.exists("q", "unacked")).toBe(0);
});

test("a settlement whose answer is lost is carried out once and is not stale", async () => {
  const broker = over("50ms");
  await publish(broker, "1", "2");
  const inbox = consume(broker);
  const [first, second] = await inbox.take(2) as [Delivery, Delivery];
  // The next request may be a look.
  rig.gateway.faults.dropResponse(6);
  const fates = [first.settle({ as: "ack" }), second.settle({ as: "requeue" })];
  expect(await Promise.all(fates)).toEqual(["settled", "settled"]);
  const again = await inbox.next();
  expect([textOf(again.message), again.redelivered]).toEqual(["2", true]);
  await inbox.quiet("after it came once");
  expect(await rig.redis.hlen("unacked")).toBe(1);
});

test("a lease that is lost is stale over HTTP too", async () => {
  const broker = over("50ms");
  await publish(broker, "1");
  const delivery = await consume(broker).next();
  await rig.redis.del("unacked", "unacked_index");
  expect(await delivery.settle({ as: "ack" })).toBe("stale");
});

test("a token that is refused ends the consumer with a coded error", async () => {
  const broker = over("50ms", "canary");
  const events: BrokerEvent[] = [];
  broker.observe((event) => events.push(event));
  const error: unknown = await consume(broker).next().catch((met: unknown) => met);
  expect(error).toMatchObject({ code: "broker-credentials-refused" });
  expect(events).toEqual([{ is: "fatal", error }]);
  expect(String(error)).not.toContain("canary");
});

test("a server that fails for a while is told of and waited for", async () => {
  const broker = over("50ms");
  const events: BrokerEvent[] = [];
  broker.observe((event) => events.push(event));
  const inbox = consume(broker);
  await until(() => events.some((event) => event.is === "up"), { what: "a first look" });
  rig.gateway.faults.status(429, undefined, Infinity);
  await until(() => events.some((event) => event.is === "down"), { what: "news of the trouble" });
  rig.gateway.faults.heal();
  await publish(broker, "1");
  expect(textOf((await inbox.next()).message)).toBe("1");
  expect(events.map(({ is }) => is).filter((is, at, all) => is !== all[at - 1])).toEqual([
    "up",
    "down",
    "up",
  ]);
});

test("a look is one command, and at rest there is one each pollInterval", async () => {
  const broker = over("100ms");
  const before = rig.gateway.requests.length;
  void consume(broker).ask();
  await until(() => rig.gateway.requests.length > before + 12, { what: "a consumer at rest" });
  const from = rig.gateway.requests.length;
  const begun = performance.now();
  await until(() => rig.gateway.requests.length >= from + 5, { what: "five looks" });
  expect(performance.now() - begun).toBeGreaterThan(350);
  for (const { body, path } of rig.gateway.requests.slice(from)) {
    expect([path, JSON.parse(body)[0]]).toEqual(["/", "evalsha"]);
  }
});

test("consumers over HTTP and over TCP share a queue", async () => {
  const http = over("20ms");
  const tcp = redisBroker(rig.url);
  rig.kept(tcp);
  const [one, other] = [consume(http, 1), consume(tcp, 1)];
  await publish(http, "1", "2");
  const [first, second] = [await one.next(), await other.next()];
  expect(textsOf([first, second]).sort()).toEqual(["1", "2"]);
  expect([await first.settle({ as: "ack" }), await second.settle({ as: "ack" })]).toEqual([
    "settled",
    "settled",
  ]);
  expect(await rig.redis.exists("q", "unacked")).toBe(0);
});

test("there is nothing to listen to", () => {
  expect(() => over("1ms").subscribe({ queue: "q" })).toThrow(
    expect.objectContaining({ code: "subscribe-unsupported" }),
  );
});
