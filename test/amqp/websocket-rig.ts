/**
 * What the tests of AMQP over WebSocket share.
 *
 * @module
 */
import { inject } from "vitest";
import { WebSocket } from "ws";
import { amqpBroker, type AmqpWebSocketOptions } from "../../adapters/amqp/websocket.ts";
import type { Broker } from "../../src/broker.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Clock, Platform, Timer } from "../../src/lib/port.ts";

/** What no error, log or address may show. */
export const CANARY = /canary|c%40n/;
export const USER = "canary-user-8823";
export const PASSWORD = "canary-p@ss/w:rd-4410";
export const TOKEN = "canary-token-7001";

/** RabbitMQ. */
export const server: { host: string; port: number } = {
  host: new URL(inject("amqp")).hostname,
  port: Number(new URL(inject("amqp")).port),
};

/** Node 20 has no WebSocket of its own; where there is one, that is what is to be shown. */
export const OWN: AmqpWebSocketOptions = typeof globalThis.WebSocket === "undefined"
  ? { webSocket: WebSocket }
  : {};

/** A broker behind the relay that reconnects fast enough for a test. */
export function over(url: string, options: AmqpWebSocketOptions = {}): Broker {
  return amqpBroker(url, { ...OWN, reconnect: { min: "10ms", max: "100ms" }, ...options });
}

/** A relay's URL with all the secrets that one can hold. */
export function secretUrl(url: string, path = "/secret/path"): string {
  const credentials = `${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}`;
  return `${url.replace("://", `://${credentials}@`)}${path}?token=${TOKEN}`;
}

/** The system's platform, with its armed timers counted. */
export function counted(): { readonly platform: Platform; readonly armed: number } {
  const live = new Set<Timer>();
  const clock: Clock = {
    ...systemPlatform.clock,
    after(ms, callback, options) {
      const timer = systemPlatform.clock.after(ms, () => {
        live.delete(own);
        callback();
      }, options);
      const own: Timer = {
        cancel() {
          live.delete(own);
          timer.cancel();
        },
      };
      live.add(own);
      return own;
    },
  };
  return {
    platform: { ...systemPlatform, clock },
    get armed() {
      return live.size;
    },
  };
}
