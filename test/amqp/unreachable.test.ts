/**
 * A real adapter whose server is not there, or not yet: what `task_publish_retry` is for.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { amqpPublisher as overTcp } from "../../adapters/amqp/tcp.ts";
import { amqpPublisher as overWebSocket } from "../../adapters/amqp/websocket.ts";
import { Celery } from "../../mod.ts";
import { Producer } from "../../src/producer/mod.ts";
import type { Broker, PublishBroker } from "../../src/broker.ts";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { counted, OWN } from "./websocket-rig.ts";
import { failureOf } from "../app/setup.ts";

const NOBODY = "127.0.0.1:1";

/** Counts how often a broker is asked. */
function watched<B extends PublishBroker>(broker: B): { readonly broker: B; asked: number } {
  const watch = { broker, asked: 0 };
  const publish = broker.publish.bind(broker);
  broker.publish = (...call) => {
    watch.asked++;
    return publish(...call);
  };
  return watch;
}

describe("A06: a server that is not there", () => {
  test.each<[string, (platform: ReturnType<typeof counted>["platform"]) => PublishBroker]>([
    ["TCP", (platform) => overTcp(`amqp://${NOBODY}`, { platform })],
    ["WebSocket", (platform) => overWebSocket(`ws://${NOBODY}`, { ...OWN, platform })],
  ])("is tried four times by a producer over %s, and once without retry", async (_way, make) => {
    const clock = counted();
    const watch = watched(make(clock.platform));
    const producer = new Producer({ broker: watch.broker, platform: clock.platform });
    expect(await failureOf(producer.sendTask("t"))).toMatchObject({
      name: "ConnectionError",
      code: "broker-unreachable",
    });
    expect(watch.asked).toBe(4);
    expect(await failureOf(producer.sendTask("t", { retry: false }))).toMatchObject({
      code: "broker-unreachable",
    });
    expect(watch.asked).toBe(5);
    expect(clock.armed).toBe(0);
  });

  test.each(["call", "shared"] as const)("is tried four times by an app, link %s", async (link) => {
    const clock = counted();
    const watch = watched<Broker>(amqpBroker(`amqp://${NOBODY}`, { link, platform: clock.platform }));
    await using app = new Celery("a", { broker: watch.broker, platform: clock.platform });
    const queues = Array.from({ length: 30 }, (_, at) => ({ name: "t", queue: `q${at}` }));
    const outcomes = await app.sendMany(queues);
    expect(outcomes).toMatchObject(
      queues.map(() => ({ status: "rejected", reason: { code: "broker-unreachable" } })),
    );
    expect(watch.asked).toBe(4);
  });
});
