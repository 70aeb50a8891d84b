/**
 * Brokers that break what they promise of listening.
 *
 * @module
 */
import type { Inbox, Message, Subscription } from "../../../../src/broker.ts";
import { RABBIT, type Saboteur } from "../saboteur.ts";
import { mapped } from "../wrap.ts";
import { pause, refusal } from "./tools.ts";

/** Subscriptions are made with another inbox. */
function inboxed(change: (inbox: Inbox) => Inbox): NonNullable<Saboteur["twist"]> {
  return () => ({ broker: (inner) => ({ subscribe: (inbox) => inner.subscribe(change(inbox)) }) });
}

export const SUBSCRIBE: readonly Saboteur[] = [
  {
    name: "every other message is not heard",
    reds: [
      "broker > subscribe: what is published once a subscription is ready",
      "broker > subscribe: each subscriber of a fanout",
    ],
    twist: () => ({
      subscription: (inner) => ({
        [Symbol.asyncIterator]: () => {
          const iterator = inner[Symbol.asyncIterator]();
          let heard = 0;
          return {
            next: async () => {
              const step = await iterator.next();
              return heard++ % 2 === 1 && step.done !== true ? await iterator.next() : step;
            },
          };
        },
      }),
    }),
  },
  {
    name: "a subscription is ready before it listens",
    reds: [
      "broker > subscribe: a subscription that is ready hears",
      "broker > reach: a subscription is not ready",
    ],
    twist: () => ({ subscription: () => ({ ready: Promise.resolve() }) }),
  },
  {
    name: "a subscription hears the first of its keys",
    reds: ["broker > subscribe: a subscription hears the routing keys"],
    twist: inboxed(({ routingKeys = [], ...inbox }) => ({ ...inbox, routingKeys: routingKeys.slice(0, 1) })),
  },
  {
    name: "a subscription hears every key",
    reds: ["broker > subscribe: a subscription hears the routing keys"],
    twist: inboxed(({ routingKeys, ...inbox }) => ({
      ...inbox,
      ...routingKeys && { routingKeys: ["#", "*"] },
    })),
  },
  {
    name: "a subscription is deaf once its network froze",
    reds: ["broker > loss: a subscription on a network that froze"],
    twist: (world) => ({
      subscription: (inner) => ({
        [Symbol.asyncIterator]: () => {
          const iterator = inner[Symbol.asyncIterator]();
          const heard = async (): Promise<IteratorResult<Message>> => {
            const step = await iterator.next();
            return world.freezes > 0 && step.done !== true ? await heard() : step;
          };
          return { next: heard };
        },
      }),
    }),
  },
  {
    name: "closing again is an error",
    reds: ["broker > subscribe: closing a subscription ends"],
    twist: () => ({
      subscription: (inner) => {
        let closed = false;
        return {
          close: async () => {
            if (closed) throw refusal();
            closed = true;
            await inner.close();
          },
        };
      },
    }),
  },
  {
    name: "closing a subscription does nothing",
    reds: [
      "broker > subscribe: closing a subscription ends",
      "broker > subscribe: the queue of a closed subscription",
      "broker > subscribe: a subscription that is closed at once",
    ],
    twist: () => ({ subscription: () => ({ close: () => Promise.resolve() }) }),
  },
  {
    name: "closing a subscription closes all of its broker",
    reds: ["broker > subscribe: closing one subscription leaves"],
    twist: () => {
      const all: Subscription[] = [];
      return {
        subscription: (inner) => {
          all.push(inner);
          return { close: async () => void await Promise.all(all.map((one) => one.close())) };
        },
      };
    },
  },
  {
    name: "what is heard lacks its properties",
    reds: ["broker > subscribe: messages come as they were sent"],
    twist: () => ({
      subscription: (inner) => ({
        [Symbol.asyncIterator]: () => mapped(inner, (message) => ({ ...message, properties: {} })),
      }),
    }),
  },
  {
    name: "what nobody read of an inbox is for the next",
    reds: ["broker > subscribe: what a subscription took"],
    twist: () => ({
      subscription: (inner, broker) => {
        const unread = inner[Symbol.asyncIterator]();
        const first = unread.next();
        return {
          [Symbol.asyncIterator]: () => {
            let begun = false;
            return { next: () => begun ? unread.next() : (begun = true, LEFT.get(broker) ?? first) };
          },
          close: async () => {
            LEFT.set(broker, first);
            await Promise.race([first, pause(1000)]);
            await inner.close();
          },
        };
      },
    }),
  },
  {
    name: "a subscription that is closed says so without a code",
    reds: [
      "broker > subscribe: a subscription that is closed at once",
      "broker > reach: a subscription is not ready",
    ],
    twist: () => ({
      subscription: (inner) => {
        const ready = inner.ready.then(() => Promise.reject(new Error("no code")), () => {
          throw new Error("no code");
        });
        ready.catch(() => {});
        return { ready };
      },
    }),
  },
  {
    name: "an inbox can be read by all",
    on: RABBIT,
    reds: ["broker > subscribe: nobody else can read an inbox", "broker > subscribe: the queue of a closed"],
    twist: () => ({
      broker: (inner) => ({
        subscribe: ({ queue }) => {
          const plain = { kind: "queue", durable: false, exclusive: false, autoDelete: false } as const;
          const ready = inner.declare([{ ...plain, name: queue, arguments: { "x-expires": 60_000 } }]);
          const consumer = inner.consume([], { prefetch: 1 });
          void ready.then(() => consumer.add(queue)).catch(() => {});
          const iterator = consumer[Symbol.asyncIterator]();
          return {
            ready,
            close: () => consumer.stop(),
            [Symbol.asyncIterator]: () => ({
              next: async () => {
                const step = await iterator.next();
                if (step.done === true) return step;
                await step.value.settle({ as: "ack" });
                return { done: false, value: step.value.message };
              },
            }),
          };
        },
      }),
    }),
  },
  {
    name: "a subscription that is refused is ready all the same",
    on: RABBIT,
    reds: ["broker > subscribe: a subscription that the broker refuses"],
    twist: () => ({ subscription: () => ({ ready: Promise.resolve() }) }),
  },
];

/** What the last subscription of a broker left unread. */
const LEFT = new WeakMap<object, Promise<IteratorResult<import("../../../../src/broker.ts").Message>>>();
