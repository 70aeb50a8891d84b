/**
 * The two brokers of the soak, as quick to notice and to return as a test can wait for.
 *
 * @module
 */
import { amqpBroker } from "../../../adapters/amqp/tcp.ts";
import { redisBroker } from "../../../adapters/redis/tcp.ts";
import type { Broker } from "../../../src/broker.ts";

/** A dead consumer on Redis is swept after this, ms; longer than any freeze, so that what is frozen has not lost all it holds. */
export const CONSUMER_TIMEOUT = 15_000;

/** A silent AMQP link is given up after two of them, s. */
export const HEARTBEAT = 4;

/** The broker of that kind. */
export function soakBroker(kind: "rabbit" | "redis", url: string): Broker {
  return kind === "rabbit"
    ? amqpBroker(url, {
      heartbeat: HEARTBEAT,
      publishTimeout: "10s",
      connectTimeout: "10s",
      reconnect: { max: "2s" },
    })
    : redisBroker(url, {
      commandTimeout: "6s",
      connectTimeout: "10s",
      publishTimeout: "10s",
      reconnectMax: "2s",
      consumerTimeout: `${CONSUMER_TIMEOUT}ms`,
      visibilityTimeout: "60s",
    });
}
