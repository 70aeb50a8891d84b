/**
 * The broker contract on a real RabbitMQ, through a proxy that can break the network: with a shared connection, and with one for each
 * call.
 *
 * @module
 */
import { afterAll, describe, inject, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { startProxy } from "../support/proxy.ts";
import { exerciseBroker } from "../../src/testing/mod.ts";
import { rabbitFeatures } from "./rabbit-features.ts";

const server = new URL(inject("amqp"));
const proxy = await startProxy({ host: server.hostname, port: Number(server.port) });
afterAll(() => proxy[Symbol.asyncDispose]());

const through = new URL(server);
through.host = `127.0.0.1:${proxy.port}`;

const QUICK = { reconnect: { min: "20ms", max: "200ms" } } as const;

describe.each(["shared", "call"] as const)(
  "amqp over TCP, link %s",
  (link) =>
    exerciseBroker({
      make: () => amqpBroker(through.href, { link, ...QUICK }),
      // The port of discard: nothing listens there.
      unreachable: () => amqpBroker("amqp://127.0.0.1:9", { link, ...QUICK }),
      features: rabbitFeatures(link),
      link: {
        cut: () => proxy.cut(),
        freeze: () => proxy.blackhole("both"),
        thaw: () => proxy.heal(),
      },
    }, { test }),
);
