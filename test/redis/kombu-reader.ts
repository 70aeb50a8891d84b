/**
 * Reads kombu's lists in Redis as a consumer would: by plain commands and JSON.parse, with nothing of ours between.
 *
 * @module
 */
import type { Redis } from "ioredis";
import type { Consumer, Delivery } from "../../src/broker.ts";
import { pause } from "../support/wait.ts";

/** kombu's envelope. */
export interface Envelope {
  readonly body: string;
  readonly "content-encoding": string;
  readonly "content-type": string;
  readonly headers: Record<string, unknown>;
  readonly properties: Record<string, unknown> & {
    readonly delivery_info: { readonly exchange: string; readonly routing_key: string };
    readonly priority: number;
    readonly delivery_tag: string;
  };
}

/** The keys of a queue's lists, the most urgent first. */
export function listsOf(queue: string): string[] {
  return [queue, ...["3", "6", "9"].map((step) => `${queue}\x06\x16${step}`)];
}

/** Takes what is in the queues, and waits for more until it is stopped. */
export function kombuReader(redis: Redis, queues: readonly string[], prefix = ""): Consumer {
  let open = true;
  async function* read(): AsyncGenerator<Delivery> {
    while (open) {
      let found = false;
      for (const queue of queues) {
        for (const list of listsOf(queue)) {
          const text = await redis.rpop(prefix + list);
          if (text === null) continue;
          found = true;
          yield delivery(queue, JSON.parse(text) as Envelope);
        }
      }
      if (!found) await pause(10);
    }
  }
  return {
    aliveAt: 0,
    add: () => Promise.reject(new Error("not here")),
    remove: () => Promise.reject(new Error("not here")),
    setPrefetch: () => Promise.reject(new Error("not here")),
    stop() {
      open = false;
      return Promise.resolve();
    },
    [Symbol.asyncIterator]: read,
  };
}

function delivery(queue: string, { body, headers, properties, ...envelope }: Envelope): Delivery {
  const { exchange, routing_key: routingKey } = properties.delivery_info;
  return {
    message: {
      headers,
      properties,
      contentType: envelope["content-type"],
      contentEncoding: envelope["content-encoding"],
      body: Buffer.from(body, "base64"),
    },
    queue,
    route: { exchange, routingKey, priority: properties.priority },
    redelivered: false,
    attempts: undefined,
    settle: () => Promise.resolve("settled"),
    onLost: () => ({ [Symbol.dispose]: () => {} }),
  };
}
