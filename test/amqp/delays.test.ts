/**
 * kombu's native delayed delivery as we declare it: what is known of kombu's source, by hand.
 *
 * @module
 */
import { expect, test } from "vitest";
import { delayEntities, delayLinks, Delays } from "../../adapters/amqp/delays.ts";

test("a level's exchange, queue and binding are kombu's; the queues may be classic", () => {
  const entities = delayEntities("quorum");
  expect(entities).toHaveLength(1 + 3 * 28);
  const name = "celery_delayed_25";
  const of = (type: "classic" | "quorum"): unknown[] =>
    delayEntities(type).filter((entity) => "name" in entity && entity.name === name);
  const table = {
    "x-overflow": "reject-publish",
    "x-message-ttl": 33_554_432_000,
    "x-dead-letter-exchange": "celery_delayed_24",
  };
  expect(of("quorum")).toEqual([
    { kind: "exchange", name, type: "topic", durable: true, autoDelete: false },
    {
      kind: "queue",
      name,
      durable: true,
      exclusive: false,
      autoDelete: false,
      arguments: { "x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once", ...table },
    },
  ]);
  expect(of("classic")[1]).toMatchObject({ arguments: { "x-queue-type": "classic", ...table } });
  expect(Object.keys((of("classic")[1] as { arguments: object }).arguments)).toHaveLength(4);
  expect(entities).toContainEqual({ kind: "binding", queue: name, exchange: name, routingKey: "*.*.1.#" });
});

test("the lowest level comes out in the delivery's exchange", () => {
  expect(delayLinks()).toHaveLength(28);
  expect(delayLinks()[2]).toEqual({
    exchange: "celery_delayed_24",
    from: "celery_delayed_25",
    routingKey: "*.*.0.#",
  });
  expect(delayLinks().at(-1)).toEqual({
    exchange: "celery_delayed_delivery",
    from: "celery_delayed_0",
    routingKey: `${"*.".repeat(27)}0.#`,
  });
  const lowest = delayEntities("quorum").find((entity) =>
    entity.kind === "queue" && entity.name === "celery_delayed_0"
  );
  expect(lowest).toMatchObject({
    arguments: { "x-message-ttl": 1000, "x-dead-letter-exchange": "celery_delayed_delivery" },
  });
});

test("ways out are remembered up to a number, whatever names messages bring", () => {
  const way = (name: string) => ({ queue: name, exchange: "tasks", routingKey: name });
  const delays = new Delays();
  expect(delays.expect([way("own"), way("#")])).toBe(true);
  const led = Array.from({ length: 2000 }, (_, at) => delays.expect([way(`named-${at}`)]));
  expect(led.filter(Boolean)).toHaveLength(998);
  // What it leads to already it goes on to lead to.
  expect(delays.expect([way("own"), way("named-0")])).toBe(true);
  expect(delays.leads("0.0.celeriac-delay.0")).toBe(true);
});
