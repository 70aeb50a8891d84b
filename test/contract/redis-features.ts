/** What `redisBroker` declares of itself; over HTTP with what differs there. */
import type { BrokerFeatures } from "../../src/broker.ts";

export function redisFeatures(different: Partial<BrokerFeatures> = {}): BrokerFeatures {
  return {
    link: "shared",
    confirm: "memory",
    mustRoute: true,
    resends: true,
    exchanges: ["direct", "topic", "fanout"],
    delay: false,
    priority: "low-first",
    maxMessage: 64 * 1024 * 1024,
    delivery: "poll",
    subscribe: true,
    requeue: "front",
    park: "lease",
    maxPark: 28 * 86_400_000,
    loss: "lease",
    attempts: false,
    ...different,
  };
}
