/** What `amqpBroker` declares of itself, by its kind of link. */
import type { BrokerFeatures } from "../../src/broker.ts";

export function rabbitFeatures(link: BrokerFeatures["link"]): BrokerFeatures {
  return {
    link,
    confirm: "durable",
    mustRoute: true,
    resends: false,
    delivery: "push",
    subscribe: true,
    exchanges: ["direct", "topic", "fanout"],
    delay: false,
    priority: "high-first",
    requeue: "publication",
    park: "copy",
    maxPark: 28 * 86_400_000,
    loss: "link",
    attempts: false,
    maxMessage: 134_217_728,
  };
}
