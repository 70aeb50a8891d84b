/**
 * The broker contract on a real RabbitMQ behind a real relay, through a proxy that can break the network.
 *
 * @module
 */
import { afterAll, describe, inject, test } from "vitest";
import { WebSocket } from "ws";
import { amqpBroker } from "../../adapters/amqp/websocket.ts";
import { startRelay } from "../support/relay.ts";
import { exerciseBroker } from "../../src/testing/mod.ts";
import { rabbitFeatures } from "./rabbit-features.ts";

const { hostname, port } = new URL(inject("amqp"));
const relay = await startRelay({ host: hostname, port: Number(port) });
afterAll(() => relay[Symbol.asyncDispose]());

const QUICK = { reconnect: { min: "20ms", max: "200ms" } } as const;
// Node 20 has none of its own; where there is one, that is what is to be shown.
const own = typeof globalThis.WebSocket === "undefined" ? { webSocket: WebSocket } : {};

describe("amqp over WebSocket", () =>
  exerciseBroker({
    make: () => amqpBroker(relay.url, { ...own, ...QUICK }),
    // The port of discard: nothing listens there.
    unreachable: () => amqpBroker("ws://127.0.0.1:9/", { ...own, ...QUICK }),
    features: rabbitFeatures("shared"),
    link: {
      cut: () => relay.cut(),
      freeze: () => relay.proxy.blackhole("both"),
      thaw: () => relay.proxy.heal(),
    },
  }, { test }));
