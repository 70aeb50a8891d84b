/** The broker contract over WebSocket, for a bundle in a runtime without Node: the relay is outside. */
import { describe, inject } from "vitest";
import { amqpBroker } from "../../../../adapters/amqp/websocket.ts";
import { exerciseBroker } from "../../../contract/broker.ts";

describe("AMQP over WebSocket", () =>
  exerciseBroker({
    make: () => amqpBroker(inject("relay"), { reconnect: { min: "20ms", max: "200ms" } }),
    features: {
      link: inject("link"),
      confirm: "durable",
      mustRoute: true,
      delivery: "push",
      subscribe: true,
      exchanges: ["direct", "topic", "fanout"],
      priority: "high-first",
      requeue: "publication",
      park: "none",
      maxPark: 0,
      loss: "link",
      attempts: false,
      maxMessage: 134_217_728,
    },
  }));
