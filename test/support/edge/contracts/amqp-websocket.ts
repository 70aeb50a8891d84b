/** The broker contract over WebSocket, for a bundle in a runtime without Node: the relay is outside. */
import { describe, inject, test } from "vitest";
import { amqpBroker } from "../../../../adapters/amqp/websocket.ts";
import { exerciseBroker } from "../../../../src/testing/mod.ts";
import { rabbitFeatures } from "../../../contract/rabbit-features.ts";

describe("AMQP over WebSocket", () =>
  exerciseBroker({
    // Where a link lives for one call, as many are opened at once as messages are published: the relay takes its time on a busy machine.
    make: () =>
      amqpBroker(inject("relay"), { connectTimeout: "15s", reconnect: { min: "20ms", max: "200ms" } }),
    features: rabbitFeatures(inject("link")),
  }, { test }));
