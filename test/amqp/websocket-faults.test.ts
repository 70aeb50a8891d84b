/**
 * A relay that goes silent, closes in the middle of the handshake, or drops in the middle of a publish: more than a hundred times each, by
 * three ways to publish, every call ends by its deadline with the right outcome, no secret is shown, nothing is left.
 *
 * @module
 */
import { describe, expect, inject, test } from "vitest";
import { amqpBroker as direct } from "../../adapters/amqp/tcp.ts";
import { amqpPublisher, type AmqpWebSocketPublisherOptions } from "../../adapters/amqp/websocket.ts";
import type { Broker, BrokerEvent, PublishBroker, Verdict } from "../../src/broker.ts";
import {
  type Fault,
  type FaultAt,
  type HostileOptions,
  type HostileRelay,
  startHostileRelay,
} from "../support/hostile-relay.ts";
import { until } from "../support/wait.ts";
import { events, everything, task, times } from "./rig.ts";
import { CANARY, counted, over, OWN, PASSWORD, secretUrl, server, USER } from "./websocket-rig.ts";
import { often } from "../support/thorough.ts";

/** For each way to publish. */
const ROUNDS = often(40, 10);
/** Whether a WebSocket can be ended without the other side: those of Deno and of Node from 22 wait for an answer to their goodbye. */
const FREES = "terminate" in (OWN.webSocket ?? globalThis.WebSocket).prototype;

/** So many at a time. */
const ABREAST = 10;

type Make = (url: string, options: AmqpWebSocketPublisherOptions) => PublishBroker;

/** All that publishes through a relay. */
const MAKERS: readonly (readonly [name: string, make: Make])[] = [
  ["amqpBroker", (url, options) => over(url, { link: "shared", closeTimeout: "50ms", ...options })],
  ['amqpBroker with link "call"', (url, options) => over(url, { link: "call", ...options })],
  ["amqpPublisher", (url, options) => amqpPublisher(url, { ...OWN, ...options })],
];

function isWhole(broker: PublishBroker): broker is Broker {
  return "observe" in broker;
}

/** One publish on a broker of its own; the verdict, and what the broker said meanwhile. */
async function attempt(
  make: Make,
  relay: HostileRelay,
  options: { readonly secret: boolean; readonly deadline: number; readonly connect?: "3s" },
): Promise<{
  readonly verdict: Verdict | undefined;
  readonly took: number;
  readonly said: readonly BrokerEvent[];
}> {
  const clock = counted();
  const url = options.secret ? secretUrl(relay.url) : relay.url;
  const broker = make(url, { platform: clock.platform, connectTimeout: options.connect ?? "100ms" });
  const said = isWhole(broker) ? events(broker) : [];
  const started = performance.now();
  const [verdict] = await broker.publish([task(`celeriac.test.nowhere.${crypto.randomUUID()}`)], {
    deadline: Date.now() + options.deadline,
  });
  const took = performance.now() - started;
  await broker.close();
  // An attempt to connect whose caller has gone ends by its own deadline.
  await until(() => clock.armed === 0, { what: "no timer left", every: 1 });
  return { verdict, took, said };
}

/** Runs `round` that often; at the end no connection of ours may be open. */
async function rounds(
  relay: HostileRelay,
  round: (at: number) => Promise<void>,
  abreast = ABREAST,
): Promise<void> {
  const before = sockets();
  for (let at = 0; at < ROUNDS; at += abreast) {
    await Promise.all(times(abreast, (each) => round(at + each)));
  }
  if (FREES) {
    await until(() => relay.live === 0, { what: "every connection closed by us" });
    await until(() => sockets() <= before, { what: "no socket left" });
  } else await until(() => relay.held === 0, { what: "a goodbye on every connection" });
}

/** Sockets of this process, where the runtime tells. */
function sockets(): number {
  if (inject("runtime") !== "node") return 0;
  return process.getActiveResourcesInfo().filter((name) => /^(TCP|TLS)(Socket)?Wrap$/.test(name)).length;
}

/** This fault at this frame. */
function when(direction: "up" | "down", method: string, fault: Fault): FaultAt {
  return (way, seen) => way === direction && seen === method ? fault : undefined;
}

describe.each(MAKERS)("%s: a relay that accepts and stays silent", (_name, make) => {
  test.each<[string, Partial<HostileOptions>]>([
    ["before the WebSocket stands", { upgrade: "silent" }],
    ["once it stands", { fault: when("up", "open", "silent") }],
    ["instead of connection.start", { fault: when("down", "10.10", "silent") }],
    ["after connection.start-ok", { fault: when("up", "10.11", "silent") }],
    ["instead of connection.open-ok", { fault: when("down", "10.41", "silent") }],
  ])("%s: the publish is refused as not sent, by the connect deadline", async (_when, options) => {
    await using relay = await startHostileRelay({ ...server, ...options });
    await rounds(relay, async () => {
      const { verdict, took, said } = await attempt(make, relay, {
        secret: options.upgrade !== undefined,
        deadline: 5000,
      });
      expect(verdict).toMatchObject({ is: "refused" });
      expect(JSON.stringify(verdict)).toMatch(/no answer within 100 ms/);
      expect(took).toBeLessThan(2500);
      expect(everything(verdict) + everything(said)).not.toMatch(CANARY);
    });
  });

  test("and a deadline before the connect deadline counts", async () => {
    await using relay = await startHostileRelay({ ...server, upgrade: "silent" });
    await rounds(relay, async () => {
      const { verdict, took } = await attempt(make, relay, { secret: true, deadline: 40 });
      expect(verdict).toMatchObject({ is: "refused" });
      expect(took).toBeLessThan(1500);
    });
  });

  test("in the middle of a publish: unknown by the deadline", async () => {
    await using relay = await startHostileRelay({ ...server, fault: when("up", "60.40", "silent") });
    await rounds(relay, async () => {
      const clock = counted();
      const broker = make(relay.url, { platform: clock.platform });
      if (isWhole(broker)) await broker.connect();
      const started = performance.now();
      const [verdict] = await broker.publish([{ ...task("anywhere"), mustRoute: false }], {
        // Enough to connect where each call does.
        deadline: Date.now() + (broker.features.link === "shared" ? 300 : 1200),
      });
      expect(verdict).toMatchObject({ is: "unknown" });
      expect(performance.now() - started).toBeLessThan(2500);
      await broker.close();
      expect(clock.armed).toBe(0);
    }, 20);
  });
});

describe.each(MAKERS)("%s: a relay that ends in the middle of the handshake", (_name, make) => {
  test.each<[string, Fault, FaultAt]>(
    (["drop", "close"] as const).flatMap((fault) => [
      ["once the WebSocket stands", fault, when("up", "open", fault)],
      ["instead of connection.start", fault, when("down", "10.10", fault)],
      ["after connection.start-ok", fault, when("up", "10.11", fault)],
      ["instead of connection.tune", fault, when("down", "10.30", fault)],
      ["after connection.tune-ok", fault, when("up", "10.31", fault)],
      ["instead of connection.open-ok", fault, when("down", "10.41", fault)],
    ]),
  )("%s (%s): the publish is refused at once", async (_when, _how, fault) => {
    await using relay = await startHostileRelay({ ...server, fault });
    await rounds(relay, async () => {
      const { verdict, took } = await attempt(make, relay, { secret: false, deadline: 5000, connect: "3s" });
      expect(verdict).toMatchObject({ is: "refused" });
      expect(JSON.stringify(verdict)).toMatch(/\(unreachable\): /);
      expect(took).toBeLessThan(2500);
    });
  });

  test("shows no secret of ours", async () => {
    await using relay = await startHostileRelay({ ...server, fault: when("up", "10.11", "close") });
    await rounds(relay, async () => {
      const { verdict, said } = await attempt(make, relay, { secret: true, deadline: 5000, connect: "3s" });
      expect(verdict).toMatchObject({ is: "refused" });
      expect(everything(verdict) + everything(said)).not.toMatch(CANARY);
    });
  });
});

describe.each(MAKERS)("%s: a relay that drops in the middle of a publish", (_name, make) => {
  test.each<[string, "up" | "down", string, Fault]>([
    ["basic.publish", "up", "60.40", "drop"],
    ["the header", "up", "header", "drop"],
    ["the body", "up", "body", "drop"],
    ["the body, politely", "up", "body", "close"],
    ["the confirm", "down", "60.80", "drop"],
  ])("at %s: unknown, and the next publish goes through", async (_where, direction, method, fault) => {
    const outside = direct(inject("amqp"));
    const queue = `celeriac.test.${crypto.randomUUID()}`;
    const entity = {
      kind: "queue",
      name: queue,
      durable: true,
      exclusive: false,
      autoDelete: false,
    } as const;
    await outside.declare([{ ...entity, arguments: { "x-expires": 300_000 } }]);
    await Promise.all(times(ABREAST, async () => {
      let armed = false;
      await using relay = await startHostileRelay({
        ...server,
        fault: (way, seen) => {
          if (!armed || way !== direction || seen !== method) return undefined;
          armed = false;
          return fault;
        },
      });
      const clock = counted();
      const broker = make(relay.url, { platform: clock.platform });
      for (let at = 0; at < ROUNDS / ABREAST; at++) {
        armed = true;
        const started = performance.now();
        const [lost] = await broker.publish([task(queue, "lost")], { deadline: Date.now() + 10_000 });
        expect(lost).toMatchObject({ is: "unknown" });
        expect(performance.now() - started).toBeLessThan(5000);
        const [kept] = await broker.publish([task(queue, "kept")], { deadline: Date.now() + 10_000 });
        expect(kept).toEqual({ is: "confirmed" });
      }
      await broker.close();
      await until(() => relay.live === 0, { what: "every connection closed by us" });
      expect(clock.armed).toBe(0);
    }));
    // Every confirmed one is there; of the unknown ones as many as the broker read.
    const stored = await outside.count(queue);
    await outside.purge(queue);
    await outside.close();
    console.log(`dropped at ${method}: ${stored - ROUNDS} of ${ROUNDS} unknown messages were stored`);
    expect(stored).toBeGreaterThanOrEqual(method === "60.80" ? 2 * ROUNDS : ROUNDS);
    expect(stored).toBeLessThanOrEqual(method === "60.40" || method === "header" ? ROUNDS : 2 * ROUNDS);
  });
});

test("a wrong user behind a relay is told as such, each time, without the password", async () => {
  await using relay = await startHostileRelay(server);
  await rounds(relay, async () => {
    const broker = over(relay.url, { username: USER, password: PASSWORD });
    const error: unknown = await broker.connect().then(() => undefined, (caught: unknown) => caught);
    expect(error).toMatchObject({ code: "broker-credentials-refused" });
    expect(everything(error)).not.toMatch(CANARY);
    await broker.close();
  });
});
